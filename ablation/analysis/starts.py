"""How far the runs of a comparison started alike."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from ablation.analysis.comparison import Comparison, ControlArm
from ablation.analysis.levels import combinations
from ablation.records import store


def shared(a: Iterable[Sequence], b: Iterable[Sequence]) -> int:
    """Returns how many parameters start equal in two models.

    Args:
        a: the `initial_digests` of one.
        b: those of the other.

    Example:
        >>> shared([("0f", 9), ("0f", 9), ("77", 4)], [("0f", 9), ("12", 4)])
        9
    """
    both = Counter(map(tuple, a)) & Counter(map(tuple, b))
    return sum(size * count for (_, size), count in both.items())


def starts_table(comparison: Comparison) -> pd.DataFrame:
    """Returns how many parameters start equal in a net and in the reference of its row.

    Returns:
        One row for each row of the ablation table and each column that is compared with the
        reference: the row factors, `column`, `shared` (trainable parameters that start equal at
        every seed), `parameters` and `of_reference` (of the two nets); none without such runs.
    """
    found = comparison.complete[comparison.complete["initial"].notna()]
    keys = [*comparison.rows, "column", "seed"]
    by_run = {key: runs["initial"].iloc[0] for key, runs in found.groupby(keys, sort=False)}
    records = []
    for row in combinations(found, comparison.rows):
        for column in comparison.others:
            pairs = [
                (by_run[*row, column, seed], by_run[*row, comparison.reference, seed])
                for seed in sorted(set(found["seed"]))
                if {(*row, column, seed), (*row, comparison.reference, seed)} <= by_run.keys()
            ]
            if pairs:
                one, other = pairs[0]
                records.append(
                    dict(zip(comparison.rows, row, strict=True))
                    | {
                        "column": column,
                        "shared": min(shared(*pair) for pair in pairs),
                        "parameters": sum(size for _, size in one),
                        "of_reference": sum(size for _, size in other),
                    }
                )
    return pd.DataFrame(records)


def is_of_one_start(comparison: Comparison, control: ControlArm) -> bool:
    """Returns whether every run of a control starts from the weights of its arm's at that seed."""
    of_arm = pd.Series(True, comparison.runs.index)
    for name, level in zip((*comparison.rows, "column"), control.of, strict=True):
        of_arm &= comparison.runs[name] == level
    arms, controls = _by_seed(comparison.runs[of_arm]), _by_seed(control.runs)
    both = arms.keys() & controls.keys()
    return bool(both) and all(arms[seed] == controls[seed] for seed in both)


def of_one_start(comparison: Comparison) -> list[str]:
    """Returns the columns with an arm that starts from the same weights at every seed."""
    found = comparison.complete
    alike = []
    for (*_, column), runs in found.groupby([*comparison.rows, "column"], sort=False):
        initial = list(_by_seed(runs).values())
        if len(initial) > 1 and all(one == initial[0] for one in initial):
            alike.append(column)
    return [column for column in comparison.columns if column in alike]


def _by_seed(runs: pd.DataFrame) -> dict[int, list]:
    """Returns the initial digests of complete runs that have trainable weights."""
    complete = runs[runs["state"] == store.COMPLETE]
    if "initial" not in complete:
        return {}
    pairs = zip(complete["seed"], complete["initial"], strict=True)
    return {seed: list(map(tuple, one)) for seed, one in pairs if isinstance(one, list) and one}
