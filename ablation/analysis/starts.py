"""How far the runs of a comparison started alike."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from ablation.analysis.comparison import Comparison, combinations


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
