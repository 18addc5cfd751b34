"""What is typed as a word for each, and is one list to Hydra: seeds, trials, controls, a design."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Quote

from ablation import keys
from ablation.command.grammar import REFERENCE, TUNE, WORD, as_text, elements, in_quotes
from ablation.config import TuneConfig, UserError
from ablation.designs import seeds

_REJECTED = "design.rejected="


def of_seeds(words: Sequence[str], sweeps: bool) -> list[str]:
    """Returns the words with seed=until(N) as what Hydra takes: all seeds, and how many at most."""
    found = []
    for word in words:
        key, _, value = word.partition("=")
        if key != "seed" and re.match(r"until\s*\(", value):
            raise UserError(f"{word} cannot be read: until() is for seeds, such as seed=until(20).")
        count = seeds.until(value) if key == "seed" else None
        if count is None:
            found.append(word)
        elif not sweeps:
            raise UserError(
                f"{word} trains seeds until questions are decided, and a single arm asks none: put "
                "-m before the keys and name several levels, such as -m arch=34,50."
            )
        else:
            found += [f"seed=range({count})", f"hydra.sweeper.until={count}"]
    return found


def of_tuning(
    words: Sequence[str], sweeps: bool, chosen: Sequence[dict[str, Any]] = ()
) -> list[str]:
    """Returns the words with those of what is tuned as the list that Hydra takes.

    Args:
        words: as they were typed.
        sweeps: whether the command is a sweep.
        chosen: what the chosen experiments set, the first one first.
    """
    grid, others = [], []
    for word in words:
        key, _, value = word.partition("=")
        if key in (*keys.MARKS, "tune"):
            said = keys.MARKS.get(key, keys.MARKS["tuning"])
            raise UserError(f"{key} is not set by hand; {said}.")
        if not key.startswith(TUNE) or key.removeprefix(TUNE) in vars(TuneConfig()):
            others.append(word)
        elif not value:
            raise UserError(f"{word} is written as {key}=VALUE,VALUE.")
        elif not sweeps:
            raise UserError(f"{word} trains several runs: put -m before the keys.")
        else:
            grid.append(word.removeprefix(TUNE))
    if grid:
        grid = _beside(grid, "tune.grid", chosen)
        others.append(f"tune.grid=[{','.join(in_quotes(one, Quote.single) for one in grid)}]")
    return others


def of_controls(words: Sequence[str], sweeps: bool) -> list[str]:
    """Returns the words with control=NAME,NAME as the list that Hydra takes."""
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        names = [name for name in elements(value.strip("[] ")) if name]
        if key == "control" and equals:
            if names and not sweeps:
                raise UserError(
                    f"{word} is beside the arms of a sweep: put -m before the keys and name "
                    "several levels, such as -m arch=34,50."
                )
            word = f"control=[{','.join(as_text(name, False) for name in dict.fromkeys(names))}]"
        found.append(word)
    return found


def of_design(words: Sequence[str], chosen: Sequence[dict[str, Any]] = ()) -> list[str]:
    """Returns the words with those about a design as the lists that Hydra takes.

    Args:
        words: as they were typed.
        chosen: what the chosen experiments set, the first one first.
    """
    lists: dict[str, list[str]] = {}
    others = []
    for word in words:
        if word.startswith(REFERENCE):
            if not WORD.fullmatch(word) or word.endswith("="):
                raise UserError(f"{word} is written as {REFERENCE}KEY=LEVEL.")
            lists.setdefault("design.reference", []).append(word.removeprefix(REFERENCE))
        elif word.startswith(_REJECTED):
            inside = word.removeprefix(_REJECTED).strip("[]")
            named = [one.strip("\"'") for one in elements(inside)]
            lists.setdefault("design.rejected", []).extend(filter(None, named))
        else:
            others.append(word)
    if "design.reference" in lists:
        typed = lists["design.reference"]
        lists["design.reference"] = _beside(typed, "design.reference", chosen)
    for key, texts in lists.items():
        others.append(f"{key}=[{','.join(in_quotes(text, Quote.single) for text in texts)}]")
    return others


def _beside(typed: Sequence[str], key: str, chosen: Sequence[dict[str, Any]]) -> list[str]:
    """Returns typed pairs after those of an experiment's list that are of other keys."""
    there: list[Any] = next((one[key] for one in chosen if isinstance(one.get(key), list)), [])
    own = {keys.full(pair.partition("=")[0]) for pair in typed}
    others = [pair for pair in map(str, there) if keys.full(pair.partition("=")[0]) not in own]
    return [*others, *typed]
