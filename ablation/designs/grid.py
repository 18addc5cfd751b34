"""Every combination of all levels."""

import itertools

from ablation.designs import Arm, Question, Space

TITLE = "every combination"


def arms(space: Space) -> list[Arm]:
    """Returns every combination of levels, the last factor's levels changing first."""
    return [
        Arm(dict(zip(space.levels, levels, strict=True)), "cell")
        for levels in itertools.product(*space.levels.values())
    ]


def questions(space: Space) -> list[Question]:
    """Returns none: what a grid is asked hangs on the factor that a report compares."""
    return []
