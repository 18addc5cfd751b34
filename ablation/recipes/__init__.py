"""What a recipe can be made of, and which of its keys change something. Loads no framework."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ablation.config import CROSS_ENTROPY, RecipeConfig
from ablation.recipes import optimizers
from ablation.recipes.schedules import SCHEDULES

_OF_SCHEDULES = ("warmup_fraction", "warmup_learning_rate", "milestones", "milestone_factor")
_OPTION = "options."


def settled(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a recipe in which every key that changes nothing has its default.

    Args:
        recipe: as a run's config.yaml has it, which may be older than some keys.
    """
    found, defaults = dict(recipe), vars(RecipeConfig())
    if found.get("loss") is None:
        found["loss"] = CROSS_ENTROPY  # Other targets have put theirs there; see `targets.settled`.
    for key, _ in unread(recipe):
        if key.startswith(_OPTION):
            option = key.removeprefix(_OPTION)
            found["options"] = {
                name: found["options"][name] for name in found["options"] if name != option
            }
        else:
            found[key] = defaults[key]
    return found


def unread(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the keys of a recipe that change nothing, whatever they are, and why.

    Args:
        recipe: as a run's config.yaml has it.

    Yields:
        A key below `recipe.`, and the setting that does not read it.
    """
    recipe = vars(RecipeConfig()) | dict(recipe)
    optimizer, schedule = recipe["optimizer"], recipe["schedule"]
    if optimizer != "sgd":
        yield "momentum", f"recipe.optimizer={optimizer}"
    if recipe["options"]:
        read = optimizers.options(optimizer)
        for name in recipe["options"]:
            if name not in read:
                yield f"{_OPTION}{name}", f"recipe.optimizer={optimizer}"
    reads = SCHEDULES[schedule].reads
    for key in _OF_SCHEDULES:
        if key not in reads:
            yield key, f"recipe.schedule={schedule}"
    if "warmup_learning_rate" in reads and not recipe["warmup_fraction"]:
        yield "warmup_learning_rate", "recipe.warmup_fraction=0"


def without_effect(recipes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields in words which keys of some recipes were set and change nothing, a line for a key."""
    defaults = vars(RecipeConfig())
    found: dict[str, dict[str, None]] = {}
    own: dict[str, None] = {}
    for recipe in recipes:
        for key, why in unread(recipe):
            if not key.startswith(_OPTION) and recipe[key] == defaults[key]:
                continue
            found.setdefault(key, {})[why] = None
            if key == "momentum" and key in optimizers.options(recipe["optimizer"]):
                own[recipe["optimizer"]] = None
    for key, reasons in found.items():
        whys: dict[str, list[str]] = {}
        for setting, _, value in (why.partition("=") for why in reasons):
            whys.setdefault(setting, []).append(value)
        where = " or ".join(f"{setting}={','.join(values)}" for setting, values in whys.items())
        hint = ""
        if key == "momentum" and own:
            hint = f"; recipe.options.momentum is that of {','.join(own)}"
        yield f"recipe.{key} changes nothing with {where}{hint}"
