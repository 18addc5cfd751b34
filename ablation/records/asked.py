"""What the commands of a study asked for, in its `study.json`: factors, designs, sources, looks."""

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ablation.config import CELL_KEYS, ReportConfig, UserError, first_line
from ablation.designs import Arm, Space
from ablation.designs.registry import CUMULATIVE, DESIGNS
from ablation.records.durable import make_directory, read_json, write_json
from ablation.records.identity import NEUTRAL
from ablation.records.locks import lock

_FILE = "study.json"
_ALONE, _REPORT = "alone", "report"
_TRUTHS = dict.fromkeys(("true", "yes", "on", "y"), 1.0)
_TRUTHS |= dict.fromkeys(("false", "no", "off", "n"), 0.0)


@dataclass(frozen=True)
class Planned:
    """A design that a command asked for, with its arms and their runs.

    Attributes:
        design: its name.
        levels: of each factor, by key; the reference is the first.
        rejected: the factors whose change a cumulative design does not keep.
        fixed: all other keys that decide a result, but for seed and data set.
        runs: for each arm, in the design's order, the names of its runs.
    """

    design: str
    levels: Mapping[str, tuple[Any, ...]]
    rejected: tuple[str, ...]
    fixed: Mapping[str, Any]
    runs: tuple[tuple[str, ...], ...]

    @property
    def space(self) -> Space:
        """Its factors and levels."""
        return Space(self.levels, self.rejected)

    @property
    def arms(self) -> list[Arm]:
        """Its arms, in order."""
        return DESIGNS[self.design].arms(self.space)

    @property
    def asks(self) -> tuple:
        """What two commands have in common that only add runs to each other."""
        # A key that a command knew nothing of was at the level that it has always had.
        fixed = {key: of for key, of in self.fixed.items() if NEUTRAL.get(key, ...) != of}
        if isinstance(fixed.get("arch"), str):
            fixed["arch"] = os.path.normpath(fixed["arch"])
        if self.design == CUMULATIVE:  # A roadmap is of the order in which its steps are named.
            order = [(key, list(meant.values())) for key, meant in self._in_common.items()]
            return self.design, order, self.rejected, fixed
        arms = self._by_levels
        questions = {
            (asked.kind, frozenset((weight, arms[place]) for weight, place in asked.terms))
            for asked in DESIGNS[self.design].questions(self.space)
        }
        return self.design, frozenset(arms), questions, fixed

    @property
    def _in_common(self) -> dict[str, dict[Any, Hashable]]:
        """What the spellings of each level have in common, by factor and level."""
        found = {}
        for key, known in self.levels.items():
            meant = {frozen(level): _meant(level) for level in known}
            is_told = len(set(meant.values())) == len(meant)
            found[key] = meant if is_told else {level: level for level in meant}
        return found

    @property
    def _by_levels(self) -> list[frozenset]:
        """What its arms are, in order, whichever factor a command has named first."""
        meant = self._in_common
        return [
            frozenset((key, meant[key][frozen(level)]) for key, level in arm.levels.items())
            for arm in self.arms
        ]

    def record(self) -> dict[str, Any]:
        """Returns it as `study.json` has it."""
        return {
            "design": self.design,
            "levels": {key: list(known) for key, known in self.levels.items()},
            "rejected": list(self.rejected),
            "fixed": dict(self.fixed),
            "runs": [list(names) for names in self.runs],
        }

    def joined(self, other: "Planned") -> "Planned":
        """Returns the same with the runs of another one too, which asks the same."""
        more = dict(zip(other._by_levels, other.runs, strict=True))
        runs = (
            tuple(dict.fromkeys([*names, *more[arm]]))
            for arm, names in zip(self._by_levels, self.runs, strict=True)
        )
        return replace(self, runs=tuple(runs))


@dataclass(frozen=True)
class Looked:
    """How seeds of a study were bought: one after another, by looking at the results.

    Attributes:
        at_most: seeds that the last such command would have trained.
        order: the seeds in the order in which they were looked at.
    """

    at_most: int
    order: tuple[int, ...]


def add(
    study: Path,
    keys: Sequence[str],
    sources: Mapping[str, dict[str, str]] | None = None,
    planned: Planned | None = None,
    alone: Sequence[str] = (),
    report: ReportConfig | None = None,
) -> None:
    """Adds what a command asks for to what is on record of the study.

    Args:
        study: its directory.
        keys: that the command sweeps, which become factors.
        sources: the code of each of the user's own networks, as it is now.
        planned: the design, None of a single run.
        alone: the names of runs that were typed without a sweep.
        report: what its report compares; None to leave that as it is.
    """
    make_directory(study)
    with lock(study / ".lock"):
        content = _content(study) | {"factors": list(dict.fromkeys([*factors(study), *keys]))}
        code = current_sources(study) | dict(sources or {})
        if code:
            content["sources"] = code
        plans = designs(study)
        if planned:
            same = [one for one in plans if one.asks == planned.asks]
            plans = [one for one in plans if one not in same]
            for one in same:
                # What was planned before an edit of a network and never trained is not to come.
                there = (
                    tuple(name for name in names if (study / name).exists()) for names in one.runs
                )
                planned = planned.joined(replace(one, runs=tuple(there)))
            plans.append(planned)
        if plans:
            content["designs"] = [one.record() for one in plans]
        if alone:
            content[_ALONE] = list(dict.fromkeys([*typed_alone(study), *alone]))
        if report:
            usual = asdict(ReportConfig())
            named = {key: one for key, one in asdict(report).items() if one != usual[key]}
            content = {key: one for key, one in content.items() if key != _REPORT}
            content |= {_REPORT: named} if named else {}
        write_json(study / _FILE, content)


def typed_alone(study: Path) -> list[str]:
    """Returns the names of the runs that were typed without a sweep."""
    found = get(study, _ALONE)
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def report_options(study: Path) -> ReportConfig:
    """Returns what the last command that trained has asked of its report.

    What is damaged of it, or of a later edition, is as usual: a report can do without.
    """
    found = get(study, _REPORT)
    kinds = dict.fromkeys(asdict(ReportConfig()), str) | {"margin": float, "pdf": bool}
    named = found if isinstance(found, dict) else {}
    sound: dict[str, Any] = {
        key: one for key, one in named.items() if isinstance(one, kinds.get(key, ()))
    }
    return ReportConfig(**sound)


def is_recorded(study: Path) -> bool:
    """Returns whether a study has a record of what it was asked."""
    return (study / _FILE).exists()


def look(study: Path, at_most: int, seeds: Sequence[int]) -> None:
    """Adds to the record that seeds are bought by looking at the results of those before.

    Args:
        study: its directory, which is there.
        at_most: seeds that the command would train.
        seeds: that are there or are trained next.
    """
    with lock(study / ".lock"):
        before = looked(study)
        order = dict.fromkeys([*(before.order if before else ()), *seeds])
        record = {"at_most": at_most, "order": list(order)}
        write_json(study / _FILE, _sound(study) | {"looked": record})


def looked(study: Path) -> Looked | None:
    """Returns how seeds were bought by looking, None if none was.

    Raises:
        UserError: the record of it is damaged.
    """
    found = get(study, "looked")
    if found is None:
        return None
    try:
        return Looked(int(found["at_most"]), tuple(map(int, found["order"])))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{study / _FILE} is damaged: looked holds no at_most and order; the seeds of this "
            'study were bought by looking, such as {"at_most": 20, "order": [0, 1, 2]}.'
        ) from None


def update(study: Path, key: str, change: Callable[[Any], Any]) -> None:
    """Puts on record what becomes of a value, while no other command can change it.

    Args:
        study: its directory, which is there.
        key: of the value.
        change: gets what is on record, None if nothing is, and returns what is to be.

    Raises:
        UserError: the file cannot be read, so that writing it would lose what is in it.
    """
    with lock(study / ".lock"):
        content = _sound(study)
        write_json(study / _FILE, content | {key: change(content.get(key))})


def get(study: Path, key: str) -> Any:
    """Returns a value that is on record, None if there is none or nothing can be read."""
    return _content(study).get(key)


def factors(study: Path) -> list[str]:
    """Returns the factors of a study: those of every study, then those that its commands swept.

    Raises:
        UserError: the file that names them is damaged.
    """
    try:
        stored = read_json(study / _FILE)["factors"]
        stored = [key for key in stored if isinstance(key, str) and key != "seed"]
    except FileNotFoundError:
        stored = []
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{study / _FILE} is damaged ({first_line(error)}); remove it and type the study's "
            "commands again, which write down what they sweep and train nothing that is complete. "
            "Claims and how seeds were chosen are lost with it, unless a copy has them."
        ) from None
    return list(dict.fromkeys([*CELL_KEYS, *stored]))


def current_sources(study: Path) -> dict[str, dict[str, str]]:
    """Returns the code of the users' own networks that a study's last command has trained."""
    found = get(study, "sources")
    return found if isinstance(found, dict) else {}


def run_names(plans: Iterable[Planned]) -> set[str]:
    """Returns the names of all runs of some designs."""
    return {name for planned in plans for arm in planned.runs for name in arm}


def designs(study: Path) -> list[Planned]:
    """Returns the designs that commands asked for, the last one last.

    What is damaged of them, or of a later edition, is left out: a report can do without.
    """
    found = []
    for one in get(study, "designs") or []:
        try:
            planned = Planned(
                str(one["design"]),
                {key: tuple(map(frozen, known)) for key, known in one["levels"].items()},
                tuple(one["rejected"]),
                one["fixed"],
                tuple(tuple(names) for names in one["runs"]),
            )
            if len(planned.arms) == len(planned.runs):
                found.append(planned)
        except (KeyError, TypeError, AttributeError):
            continue
    return found


def _meant(level: Any) -> Hashable:
    """Returns what the spellings of a level have in common, such as 0, 0.0, no and false."""
    text = str(level).lower()
    if text in _TRUTHS:
        return _TRUTHS[text]
    try:
        return float(text)
    except ValueError:
        return os.path.normpath(level) if text.partition(":")[0].endswith(".py") else frozen(level)


def frozen(level: Any) -> Any:
    """Returns a level as something that can be looked up."""
    return tuple(level) if isinstance(level, list) else level


def _sound(study: Path) -> dict[str, Any]:
    """Returns what is on record, {} if nothing is; raises UserError if it cannot be read."""
    try:
        return read_json(study / _FILE)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(
            f"{study / _FILE} is damaged ({first_line(error)}), and it says what the study was "
            "asked; mend it, or name another study=NAME."
        ) from None


def _content(study: Path) -> dict[str, Any]:
    """Returns what is on record, {} if nothing is or can be read."""
    try:
        return read_json(study / _FILE)
    except (OSError, ValueError):
        return {}
