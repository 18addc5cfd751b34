"""The stripped network, and each part added to it alone.

Stripped is the last level named of every factor, where the reference is the first.
"""

from ablation.designs import Arm, Question, Space

TITLE = "each part added alone"


def arms(space: Space) -> list[Arm]:
    """Returns the stripped arm, then one for each level that is not its own."""
    stripped = space.stripped
    return [Arm(stripped, "stripped")] + [
        Arm(stripped | {key: level}, "added", key)
        for key, (*others, _) in space.levels.items()
        for level in others
    ]


def questions(space: Space) -> list[Question]:
    """Returns what each addition does to the stripped arm."""
    return [
        Question("addition", ((1.0, place), (-1.0, 0)), ((str(arm.factor), place),))
        for place, arm in enumerate(arms(space))
        if place
    ]
