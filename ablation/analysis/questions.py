"""What is asked of the runs of a comparison: differences between cells, in words and in weights."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ablation.analysis.levels import combinations, levels
from ablation.factors import in_words
from ablation.text import readable

_Terms = Sequence[tuple[float, Hashable]]


@dataclass(frozen=True)
class Question:
    """A difference that is asked for: a weighted sum of cells.

    Attributes:
        kind: such as "contrast" (in one row), "main effect" (averaged over rows), "change" (of the
            reference) or "interaction" (difference between two differences).
        minuend, subtrahend: what is subtracted from what, such as "arch 50" and "34".
        where: the row, or the rows, that it holds for.
        terms: weights of cells, which may occur several times.
    """

    kind: str
    minuend: str
    subtrahend: str
    where: str
    terms: tuple[tuple[float, Hashable], ...] = field(repr=False)


def grid_questions(
    keys: Sequence[tuple],
    rows: Sequence[str],
    columns: Sequence[str],
    exists: Callable[[dict[str, Any], str], bool] = lambda row, column: True,
    prefix: str = "",
    telling: Sequence[str] | None = None,
) -> list[Question]:
    """Returns what a table of rows and columns is asked.

    Args:
        keys: the cells that have runs, by the levels of the rows and of the column.
        rows: the factors that make a row.
        columns: the levels of the column; the others are compared with the first, the reference.
        exists: whether there is to be a net of a row and a column.
        prefix: what names of questions begin with where the levels do not speak for themselves.
        telling: the row factors by which a question is told from another; by default all.

    Returns:
        The contrasts of each row; the main effect of the contrast over all rows and of each row
        factor over all the rest; the interactions of the contrast with each row factor, each level
        against the first, since all pairs of levels would be more questions than any study can
        answer.
    """
    reference, *others = columns
    # As objects, since pandas would take a label for any text.
    frame = pd.DataFrame([key[:-1] for key in keys], columns=list(rows), dtype=object)
    frame = frame.drop_duplicates()
    contrasts: list[Question] = []
    mains: list[Question] = []
    interactions: list[Question] = []
    for level in others:
        pair = f"{prefix}{readable(str(level))}", readable(str(reference))
        of_row = {
            key: [(1.0, (*key, level)), (-1.0, (*key, reference))]
            for key in combinations(frame, rows)
            if all(exists(dict(zip(rows, key, strict=True)), one) for one in (level, reference))
        }
        contrasts += [
            Question("contrast", *pair, _where(rows, key, telling), tuple(terms))
            for key, terms in of_row.items()
        ]
        if len(of_row) > 1:
            where = _in_common([(*key, reference) for key in of_row], keys, rows)
            mains.append(Question("main effect", *pair, where, _mean(list(of_row.values()))))
            interactions += _interactions(of_row, rows, pair, telling)
    for i, factor in enumerate(rows if keys else ()):
        mains += _main_effects(keys, rows, i, levels(frame[factor]), exists, prefix)
    return [*contrasts, *mains, *interactions]


def _main_effects(
    keys: Sequence[tuple],
    rows: Sequence[str],
    i: int,
    factor_levels: Sequence[Any],
    exists: Callable[[dict[str, Any], str], bool],
    prefix: str,
) -> Iterator[Question]:
    """Yields a row factor's levels minus its first, averaged over the cells that both can have."""

    def can_be(cell: tuple) -> bool:
        return exists(dict(zip(rows, cell, strict=False)), cell[-1])

    rest: dict[Any, dict[tuple, None]] = {level: {} for level in factor_levels}
    for key in keys:
        rest[key[i]][key[:i], key[i + 1 :]] = None
    first, *later = factor_levels
    for level in later:
        if rest[level].keys().isdisjoint(rest[first]):
            continue  # No two runs differ in this factor alone.
        cells = [
            ((*before, level, *after), (*before, first, *after))
            for before, after in rest[first] | rest[level]
        ]
        pairs = [(one, other) for one, other in cells if can_be(one) and can_be(other)]
        names = _where([rows[i]], [level]), readable(str(first))
        if pairs:
            where = _in_common([cell for pair in pairs for cell in pair], keys, rows, prefix)
            terms = _mean([[(1.0, one), (-1.0, other)] for one, other in pairs])
            yield Question("main effect", *names, where, terms)


def _mean(parts: Sequence[_Terms]) -> tuple[tuple[float, Hashable], ...]:
    return tuple((weight / len(parts), cell) for part in parts for weight, cell in part)


def _interactions(
    of_row: Mapping[tuple, _Terms],
    rows: Sequence[str],
    pair: tuple[str, str],
    telling: Sequence[str] | None,
) -> list[Question]:
    """Returns, for rows that differ in one factor, the later contrast minus the first."""
    found = []
    for i, factor in enumerate(rows):
        firsts: dict[tuple, tuple] = {}
        for key, terms in of_row.items():
            same = key[:i] + key[i + 1 :]
            first = firsts.setdefault(same, key)
            if first != key:
                against = f"{_where([factor], [key[i]])} against {_where([factor], [first[i]])}"
                fixed = _where([*rows[:i], *rows[i + 1 :]], same, telling)
                where = ", ".join(filter(None, [against, fixed]))
                opposite = [(-weight, cell) for weight, cell in of_row[first]]
                found.append(Question("interaction", *pair, where, (*terms, *opposite)))
    return found


def _where(names: Sequence[str], key: Sequence[Any], telling: Sequence[str] | None = None) -> str:
    """Returns factors with their levels, in words; if `telling` is given, of these factors."""
    return ", ".join(
        in_words(name, level)
        for name, level in zip(names, key, strict=True)
        if telling is None or name in telling
    )


def _in_common(
    cells: Sequence[tuple], keys: Sequence[tuple], rows: Sequence[str], prefix: str | None = None
) -> str:
    """Returns the levels that all cells of an average share and others do not, in words.

    Args:
        cells: of the average.
        keys: the cells that have runs.
        rows: the factors that make a row.
        prefix: what stands before a level of the column, None if that is what is compared.
    """
    said = []
    for place, name in enumerate((*rows, None) if prefix is not None else rows):
        levels_of_all = {cell[place] for cell in cells}
        if len(levels_of_all) == 1 and len({key[place] for key in keys}) > 1:
            (level,) = levels_of_all
            said.append(
                f"{prefix}{readable(str(level))}" if name is None else in_words(name, level)
            )
    return ", ".join(said)
