"""The reference, and each other level of each factor changed in it alone."""

from ablation.designs import Arm, Question, Space, difference

TITLE = "each part changed alone"


def arms(space: Space) -> list[Arm]:
    """Returns the reference, then one arm for each level that is not its own."""
    reference = space.reference
    return [Arm(reference, "reference")] + [
        Arm(reference | {key: level}, "changed", key)
        for key, (_, *others) in space.levels.items()
        for level in others
    ]


def questions(space: Space) -> list[Question]:
    """Returns what each change does to the reference."""
    return [difference("change", place, 0) for place in range(1, len(arms(space)))]
