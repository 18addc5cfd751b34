"""Changes made one after another in the order named: the roadmap of modern papers.

What is in `Space.rejected` is tried where it stands and not kept, as in the roadmap of Liu et al.
2022 (arXiv 2201.03545, Fig. 2).
"""

from ablation.designs import Arm, Question, Space, difference
from ablation.factors import spelled

TITLE = "one change after another"


def arms(space: Space) -> list[Arm]:
    """Returns the reference, then an arm for each step."""
    levels = space.reference
    found = [Arm(levels, "reference")]
    for key, (_, *others) in space.levels.items():
        for level in others:
            changed = levels | {key: level}
            if key in space.rejected or f"{key}={spelled(level)}" in space.rejected:
                found.append(Arm(changed, "rejected", key))
            else:
                levels = changed
                found.append(Arm(levels, "step", key))
    return found


def questions(space: Space) -> list[Question]:
    """Returns what each step does to the last one kept, and, of several, what all do together."""
    roles = [arm.role for arm in arms(space)]
    found, kept = [], 0
    for place, role in enumerate(roles[1:], start=1):
        found.append(difference("step", place, kept))
        kept = place if role == "step" else kept
    if roles.count("step") > 1:
        found.append(difference("total", kept, 0))
    return found
