"""The comparisons of a study by a design that is no grid: arms one below the other."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from ablation.analysis.comparison import ArmRow, Comparison
from ablation.analysis.layout import protocol_of
from ablation.analysis.levels import levels
from ablation.designs import BLOCKS, Arm, Question, Space, once
from ablation.designs.registry import DESIGNS
from ablation.factors import ABSENT, LAST, PARTS, Factor, Label, spelled
from ablation.records import arm_names, store
from ablation.records.asked import Planned
from ablation.records.identity import switches_off
from ablation.text import file_name

_ENDED = (store.COMPLETE, store.FAILED, store.DIVERGED, store.REFUSED)


def is_filled(planned: Planned, runs: pd.DataFrame) -> bool:
    """Returns whether every arm of a design has a run that came to some end."""
    ended = set(runs.loc[runs["state"].isin(_ENDED), "run"])
    return all(ended.intersection(names) for names in planned.runs)


def widest(plans: Sequence[Planned], runs: pd.DataFrame) -> Planned | None:
    """Returns the design with most arms among those that the runs fill, else the last one asked."""
    there = set(runs["run"])
    known = [one for one in plans if any(there.intersection(names) for names in one.runs)]
    filled = [one for one in known if is_filled(one, runs)]
    if not filled:
        return known[-1] if known else None
    most = max(len(one.runs) for one in filled)
    return [one for one in filled if len(one.runs) == most][-1]


def not_within_others(plans: Sequence[Planned]) -> list[Planned]:
    """Returns those designs whose runs are not all another's too."""
    names = [{name for arm in one.runs for name in arm} for one in plans]
    return [
        one
        for i, one in enumerate(plans)
        if not any(
            names[i] < names[k] or (names[i] == names[k] and k > i) for k in range(len(plans))
        )
    ]


def derived(
    design: str, runs: pd.DataFrame, factors: Sequence[str], parts: Mapping[str, Factor]
) -> Iterator[Planned]:
    """Yields a design as if a command had asked for it, from the levels that runs have.

    The reference of a part is its network's own, of another factor the first in natural order.

    Args:
        design: its name.
        runs: as in `Study.runs`.
        factors: keys of the study's factors.
        parts: those of them that are parts, by key.
    """
    keys = [key for key in factors if key not in BLOCKS]
    for _, of_protocol in runs.groupby(["dataset", "protocol"], sort=False):
        known = {
            key: [level for level in levels(of_protocol[key]) if _changes(level)] for key in keys
        }
        known = {key: found for key, found in known.items() if len(found) > 1}
        if not known:
            continue
        for key, found in known.items():
            own = parts[key].first(found) if key in parts else found[0]
            found.sort(key=lambda level: level != own)
        space = Space({key: tuple(found) for key, found in known.items()})
        yield Planned(
            design,
            space.levels,
            (),
            {},
            tuple(_matching(arm, of_protocol) for arm in DESIGNS[design].arms(space)),
        )


def _changes(level: object) -> bool:
    """Returns whether a level changes anything in its network, which has the factor at all."""
    return getattr(level, "applies", True)


def _matching(arm: Arm, runs: pd.DataFrame) -> tuple[str, ...]:
    """Returns the runs of an arm: those with its levels, where they change anything."""
    there = pd.Series(True, runs.index)
    for key, level in arm.levels.items():
        there &= runs[key].map(lambda one, level=level: one == level or not _changes(one))
    return tuple(runs.loc[there, "run"])


def arm_comparisons(
    planned: Planned, runs: pd.DataFrame, factors: Sequence[str], parts: Mapping[str, Factor]
) -> list[Comparison]:
    """Returns the comparisons of the arms of one design, for each data set and protocol.

    Args:
        planned: the design with its arms and their runs.
        runs: one row a run, as in `Study.runs`.
        factors: keys of the study's factors.
        parts: those of them that are parts of networks, by key.
    """
    arms, questions = planned.arms, DESIGNS[planned.design].questions(planned.space)
    places: dict[str, int] = {}
    for place, names in enumerate(planned.runs):
        for name in names:
            places.setdefault(name, place)  # Arms that come to the same net are one.
    found = []
    own = runs[runs["run"].isin(places)]
    to_come = set(places) - set(runs["run"])
    for dataset, of_dataset in own.groupby("dataset", sort=False):
        for of_protocol, protocol in protocol_of(of_dataset, factors):
            if (of_protocol["state"] == store.REFUSED).all():
                continue
            there = of_protocol.assign(_arm=[places[name] for name in of_protocol["run"]])
            beside = runs[(runs["dataset"] == dataset) & ~runs["run"].isin(places)]
            beside = beside[beside["protocol"] == of_protocol["protocol"].iloc[0]]
            of_data = {name for name in to_come if f"-{file_name(str(dataset))}-s" in name}
            merged = [
                _stands_for(place, names, places, set(of_protocol["run"]), of_data)
                for place, names in enumerate(planned.runs)
            ]
            layout = _Arms(arms, questions, merged, there, beside, parts, factors)
            found.append(
                Comparison(
                    str(dataset),
                    protocol,
                    "arm",
                    layout.rows[0].name,
                    (layout.of_row,),
                    layout.runs,
                    "",
                    {},
                    {},
                    frozenset(),
                    tuple(parts.values()),
                    planned.design,
                    tuple(layout.rows),
                    tuple(layout.asked),
                    layout.unbuilt,
                )
            )
    return found


def _stands_for(
    place: int, names: Sequence[str], places: Mapping[str, int], here: set[str], to_come: set[str]
) -> int:
    """Returns the place of the arm that one is shown as: the first of those that are one net.

    Args:
        place: of the arm.
        names: of its runs.
        places: the first arm that has each run.
        here: runs of this data set and protocol; on another one two arms may be one net.
        to_come: runs of the data set that are not there yet, which say it where no other can.
    """
    known = here.intersection(names) or to_come.intersection(names)
    return min((places[name] for name in known), default=place)


class _Arms:
    """The arms of a design under one protocol, with what a table calls them.

    Args:
        arms: of the design.
        questions: that it asks of them.
        merged: for each arm the place of the one that stands for it.
        runs: with the place of the arm of each.
        beside: runs of the protocol that are none of the design's.
        parts: of networks, by key.
        factors: keys of all factors of the study.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        questions: Sequence[Question],
        merged: Sequence[int],
        runs: pd.DataFrame,
        beside: pd.DataFrame,
        parts: Mapping[str, Factor],
        factors: Sequence[str],
    ):
        self._parts = parts
        self._factors = [key for key in factors if key not in ("arch", "dataset", "seed")]
        self._keys = list(arms[0].levels)
        self._binary = [
            key
            for key in self._keys
            if key.startswith(PARTS)
            and {spelled(arm.levels[key]) for arm in arms} == {"true", "false"}
        ]
        self._switched = [
            key
            for key in self._keys
            if len(levels := {arm.levels[key] for arm in arms}) == 2
            and any(switches_off(key, level) for level in levels)
        ]
        self._arch = runs["arch"].iloc[0]
        # An arm that is a change of the reference and one factor added to the stripped arm is both.
        additions: dict[int, str] = {}
        for key, place in (one for question in questions for one in question.added):
            additions.setdefault(merged[place], key)
        by_arm = dict(iter(runs.groupby("_arm", sort=False)))
        self._place: dict[int, int] = {}
        self.rows: list[ArmRow] = []
        self.unbuilt: dict[str, str] = {}
        for place, arm in enumerate(arms):
            of_arm = by_arm.get(merged[place], runs.iloc[:0])
            refused = len(of_arm) and (of_arm["state"] == store.REFUSED).all()
            if refused and arm.factor is None:
                self.unbuilt[arm.role] = str(of_arm["reason"].iloc[0])
            if merged[place] == place and not refused:
                self._place[place] = len(self.rows)
                self.rows.append(self._row(arm, of_arm, additions.get(place)))
        self._merged = [self._place.get(one) for one in merged]
        self.asked = once(self._of_rows(questions))
        self.runs = pd.concat([self._in_columns(runs), *self._targets(beside, set(runs["arch"]))])
        self.of_row = "arch" if self.runs["arch"].nunique() == 1 else "dataset"

    def _row(self, arm: Arm, runs: pd.DataFrame, addition: str | None) -> ArmRow:
        """Returns the row of an arm.

        Args:
            arm: of the design.
            runs: its own.
            addition: the factor that it adds to the stripped arm, None if it is no such arm.
        """
        shown = self._shown(arm, runs)
        text = self._name(arm, shown)
        added = text
        if arm.role == "changed" and addition is not None:
            added = self._name(Arm(arm.levels, "added", addition), shown)
        return ArmRow(
            Label(text, 1 + len(self.rows), True),
            arm.role,
            self._title(arm.factor) if arm.factor else None,
            {self._title(key): level for key, level in shown.items()},
            self._switches(arm, shown if len(runs) else None),
            {self._title(key): key for key in shown},
            added,
        )

    def _in_columns(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Returns the runs of the arms that have a row, each with the arm's name as its column."""
        frame = runs[runs["_arm"].isin(self._place)]
        columns = [self.rows[self._place[place]].name for place in frame["_arm"]]
        frame = frame.assign(column=pd.Series(columns, frame.index, object))
        return frame.drop(columns="_arm")

    def _name(self, arm: Arm, shown: Mapping[str, Label]) -> str:
        """Returns what an arm is called, whose levels are shown so."""
        taken = [name for row in self.rows for name in (row.name, row.added)]
        if arm.factor is None:
            return arm_names.arm_name(arm, "", None, taken)
        return arm_names.arm_name(arm, self._title(arm.factor), shown[arm.factor], taken)

    def _targets(self, beside: pd.DataFrame, own: set[str]) -> Iterator[pd.DataFrame]:
        """Yields the runs of nets of other architectures, each as an arm to be reached."""
        for arch, of_arch in beside.groupby("arch", sort=False):
            # A factor that the design leaves alone makes several nets of it too.
            if arch in own or len(of_arch[self._factors].drop_duplicates()) > 1:
                continue
            shown = {self._title(key): str(of_arch[key].iloc[0]) for key in self._keys}
            name = Label(str(arch), 1 + len(self.rows), True)
            self.rows.append(ArmRow(name, "target", None, shown, added=name))
            yield of_arch.assign(column=pd.Series([name] * len(of_arch), of_arch.index, object))

    def _switches(self, arm: Arm, shown: Mapping[str, Label] | None) -> dict[str, bool | None]:
        """Returns which factors that are on or off are on, None where that changes nothing.

        Of an arm without runs, where `shown` is None, nobody knows what changes nothing.
        """
        found: dict[str, bool | None] = {}
        for key, level in arm.levels.items():
            if key in self._binary:
                on = spelled(level) == "true"
                found[key.removeprefix(PARTS)] = (
                    on if shown is None or _changes(shown[key]) else None
                )
            elif key in self._switched:
                found[self._title(key)] = not switches_off(key, level)
        return found

    def _of_rows(self, questions: Sequence[Question]) -> Iterator[Question]:
        """Yields the questions of the arms that exist, by the places of the rows."""
        for question in questions:
            weights: dict[int, float] = {}
            places = [self._merged[place] for _, place in question.terms]
            if None in places:
                continue
            for (weight, _), place in zip(question.terms, places, strict=True):
                assert place is not None
                weights[place] = weights.get(place, 0.0) + weight
            terms = tuple((weight, place) for place, weight in weights.items() if weight)
            # Where arms are one net, an interaction may come to a difference that is asked already.
            if not terms or (question.kind == "interaction" and len(terms) < 4):
                continue
            added = ((key, self._merged[place]) for key, place in question.added)
            named = tuple((self._title(key), place) for key, place in added if place is not None)
            yield Question(question.kind, terms, named)

    def _title(self, key: str) -> str:
        return arm_names.title(key, self._keys, self._parts)

    def _shown(self, arm: Arm, runs: pd.DataFrame) -> dict[str, Label]:
        """Returns the levels of an arm as tables show them, from its runs if there are any."""
        if len(runs):
            return {key: arm_names.shown(runs[key].iloc[0]) for key in arm.levels}
        return {key: self._expected(key, arm) for key in arm.levels}

    def _expected(self, key: str, arm: Arm) -> Label:
        """Returns how the runs of an arm will show a level."""
        level, part = arm.levels[key], self._parts.get(key)
        if part is None:
            return arm_names.shown(level)
        arch = spelled(arm.levels.get("arch", self._arch))
        if arch not in part.applies:
            return Label(ABSENT, LAST, True)
        conditions = part.applies[arch]
        inner = [other for other in conditions if other in arm.levels]
        if any(self._expected(other, arm) not in conditions[other] for other in inner):
            return Label(part.elsewhere)
        typed = spelled(level)
        return part.levels[arch].get(typed) or Label(typed, 1)
