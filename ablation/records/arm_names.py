"""What tables and claims call the arms of a design that is no grid."""

from collections.abc import Collection, Mapping

from ablation.designs import Arm
from ablation.factors import PARTS, Factor, Label, in_short, spelled
from ablation.records.identity import switches_off

_FIRST = {"reference": "reference", "stripped": "stripped"}


def title(key: str, keys: Collection[str], parts: Mapping[str, Factor]) -> str:
    """Returns what the factor of a design is called.

    Args:
        key: of the factor.
        keys: of all factors of the design.
        parts: those of them that are parts of networks, by key.
    """
    if key in parts:
        return parts[key].title
    short = key.rpartition(".")[2]
    alike = [other for other in keys if other.rpartition(".")[2] == short]
    return short if len(alike) == 1 else key


def shown(level: object) -> Label:
    """Returns a level as tables show it."""
    if isinstance(level, Label):
        return level
    return Label(in_short(level) if isinstance(level, float) else spelled(level))


def arm_name(arm: Arm, named: str, level: Label | None, taken: Collection[str]) -> str:
    """Returns what an arm is called, such as "reference" or "without se".

    Args:
        arm: the arm.
        named: what the factor that was changed is called.
        level: its level as tables show it, None in the first arm of its kind.
        taken: names of other arms, since levels of two factors may be named alike.
    """
    if arm.factor is None or level is None:
        return _FIRST[arm.role]
    if level.speaks:
        text = str(level)
    elif level in ("true", "false") and arm.factor.startswith(PARTS):
        text = {"true": f"with {named}", "false": f"without {named}"}[level]
    elif switches_off(arm.factor, arm.levels[arm.factor]):
        text = f"without {named}"
    else:
        text = f"{named}: {level}"
    if arm.role == "added":
        text = f"only {text.removeprefix('with ')}"
    elif arm.role == "rejected":
        text = f"{text} (not kept)"
    while text in taken:
        text = f"{named}: {text}"
    return text
