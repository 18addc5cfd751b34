"""The designs by name."""

from ablation.config import UserError
from ablation.designs import Design, add_one, both, cumulative, grid, leave_one_out

DESIGNS: dict[str, Design] = {
    "grid": grid,
    "leave_one_out": leave_one_out,
    "add_one": add_one,
    "both": both,
    "cumulative": cumulative,
}
"""What `design=` and `report.design=` may name."""

GRID, CUMULATIVE = "grid", "cumulative"


def find(name: str) -> Design:
    """Returns a design.

    Raises:
        UserError: there is none of that name.
    """
    if name not in DESIGNS:
        raise UserError(f"design.name={name} is not known. Allowed: {', '.join(DESIGNS)}.")
    return DESIGNS[name]
