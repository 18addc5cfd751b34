"""Each part left out of the reference and added to the stripped network.

Where the two disagree, the parts do not add up: they interact.
"""

from ablation.designs import Arm, Question, Space, add_one, leave_one_out, once

TITLE = "each part left out, and added alone"

_SIGNS = (1.0, -1.0, -1.0, 1.0)


def arms(space: Space) -> list[Arm]:
    """Returns the arms of `leave_one_out`, then those of `add_one` that are others."""
    found = leave_one_out.arms(space)
    known = {tuple(arm.levels.items()) for arm in found}
    return found + [arm for arm in add_one.arms(space) if tuple(arm.levels.items()) not in known]


def questions(space: Space) -> list[Question]:
    """Returns both kinds of difference, and for each factor how far they disagree.

    The interaction of a factor is what its reference level adds to the stripped arm, less what it
    adds to the arm that has all but it.
    """
    places = {tuple(arm.levels.items()): place for place, arm in enumerate(arms(space))}
    found = []
    for design in (leave_one_out, add_one):
        its_places = [places[tuple(arm.levels.items())] for arm in design.arms(space)]
        found += [
            Question(
                one.kind,
                tuple((weight, its_places[i]) for weight, i in one.terms),
                tuple((key, its_places[i]) for key, i in one.added),
            )
            for one in design.questions(space)
        ]
    reference, stripped = space.reference, space.stripped
    for key in space.levels:
        corners = [
            places[tuple(corner.items())]
            for corner in (
                stripped | {key: reference[key]},
                stripped,
                reference,
                reference | {key: stripped[key]},
            )
        ]
        terms = tuple(zip(_SIGNS, corners, strict=True))
        found.append(Question("interaction", terms, ((key, corners[0]),)))
    # With one factor or two, several of these are the same difference, or its opposite.
    return once(one for one in found if len({at for _, at in one.terms}) == len(one.terms))
