"""Which runs of a study are controls, in its `study.json`: of what kind, and beside which run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ablation.records import asked
from ablation.records.store import LESIONS

_KEY = "controls"
_WITHOUT = "uncontrolled"


@dataclass(frozen=True)
class Control:
    """A run that is trained to be held against others, and that no question is asked of.

    Attributes:
        kind: one of `designs.controls.CONTROLS`.
        run: its name.
        of: the name of the run that it is the control of, of the same seed.
        facts: what else is to be known of it.
    """

    kind: str
    run: str
    of: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def controls(study: Path) -> list[Control]:
    """Returns the controls of a study, in the order in which commands have asked for them.

    What is damaged is left out, and its runs are then like others.
    """
    return _read(asked.get(study, _KEY))


def without(study: Path, left_out: Collection[str] = ()) -> list[str]:
    """Returns in words what was asked for as a control and is none.

    Args:
        study: its folder.
        left_out: the names of runs that stand in no table.
    """
    lines = (line for of_kind in _lines(asked.get(study, _WITHOUT)).values() for line in of_kind)
    return list(dict.fromkeys(line for run, line in lines if run not in left_out))


def put_without(study: Path, said: Mapping[str, Mapping[str, str]], arms: Collection[str]) -> None:
    """Puts on record why arms have no control, in place of what was said of the same.

    Args:
        study: its folder.
        said: of kinds of controls, a line for the run of each arm that has none.
        arms: the names of all runs that controls of these kinds were asked for.

    Raises:
        UserError: the record is damaged.
    """

    def changed(stored: Any) -> dict[str, Lines]:
        found = _lines(stored)
        for kind, lines in said.items():
            kept = [one for one in found.get(kind, []) if one[0] and one[0] not in arms]
            found[kind] = [*kept, *([run, line] for run, line in lines.items())]
        return {kind: lines for kind, lines in found.items() if lines}

    known = asked.get(study, _WITHOUT)
    if changed(known) != _lines(known):
        asked.update(study, _WITHOUT, changed)


Lines = list[list[str]]
"""Pairs of the name of a run and what is said of it."""


def _lines(stored: Any) -> dict[str, Lines]:
    """Returns what is said of each kind; in records of before no line tells its run."""
    kinds = stored if isinstance(stored, dict) else {}
    return {
        kind: [["", one] if isinstance(one, str) else list(one) for one in lines]
        for kind, lines in kinds.items()
    }


def _read(stored: Any) -> list[Control]:
    found = []
    for one in stored or []:
        try:
            facts = dict(one["facts"])
            found.append(Control(str(one["kind"]), str(one["run"]), str(one["of"]), facts))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _identity(one: Control) -> tuple[str, ...]:
    """Returns what two records of one control have in common.

    A lesion is named after the weights that it switches a part off in, and trained again these are
    others; what was judged of the earlier ones is no further seed.
    """
    run, _, lesion = one.run.partition(f"/{LESIONS}/")
    return one.kind, run, "" if lesion else one.run, one.of


def put(study: Path, items: Sequence[Control]) -> None:
    """Adds controls to the record.

    Raises:
        UserError: the record is damaged.
    """

    def added(stored: Any) -> list[dict[str, Any]]:
        known = {_identity(one): one for one in (*_read(stored), *items)}
        return [asdict(one) for one in known.values()]

    if items:
        asked.update(study, _KEY, added)
