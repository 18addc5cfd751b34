"""The learning rate over a run: one function and one line of `SCHEDULES` for each schedule.

A schedule is a function of the recipe and of the run's optimizer steps that returns a rate or a
Keras schedule. Keras is loaded only when one is built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from ablation.config import RecipeConfig, UserError

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule

Rate = Union[float, "LearningRateSchedule"]

_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4 / 25
"""Of the peak, as PyTorch's OneCycleLR has them (div_factor 25, final_div_factor 10,000)."""


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule.

    Attributes:
        build: makes it of a recipe for so many optimizer steps.
        reads: the keys of the recipe that it reads, but for learning_rate.
        needs: those of `reads` that it cannot do without, each with an example.
        check: raises UserError where keys that it reads do not go together.
    """

    build: Callable[[RecipeConfig, int], Rate]
    reads: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    check: Callable[[RecipeConfig], None] = lambda recipe: None


def constant(recipe: RecipeConfig, total_steps: int) -> Rate:
    """Is `learning_rate` throughout."""
    return recipe.learning_rate


def cosine(recipe: RecipeConfig, total_steps: int) -> Rate:
    """Climbs in a straight line over the warm-up, then falls to 0 along a half cosine.

    Loshchilov and Hutter 2016, arXiv 1608.03983, eq. 5 with one period that ends with the run.
    """
    from keras.optimizers import schedules

    rate, warmup = recipe.learning_rate, _warmup_steps(recipe, total_steps)
    return schedules.CosineDecay(
        recipe.warmup_learning_rate if warmup else rate,
        decay_steps=max(1, total_steps - warmup),
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


def linear(recipe: RecipeConfig, total_steps: int) -> Rate:
    """Climbs in a straight line over the warm-up, then falls to 0 in another."""
    from ablation.recipes.pieces import Pieces

    rate, warmup = recipe.learning_rate, _warmup_steps(recipe, total_steps)
    ends = [0, warmup, total_steps] if warmup else [0, total_steps]
    rates = [recipe.warmup_learning_rate, rate, 0.0] if warmup else [rate, 0.0]
    return Pieces(ends, rates)


def one_cycle(recipe: RecipeConfig, total_steps: int) -> Rate:
    """Climbs from a 25th of the rate to the rate, then falls to almost nothing, in half cosines.

    Smith and Topin 2017, arXiv 1708.07120, in the shape of PyTorch's OneCycleLR, which reaches
    peak and end one step sooner: here the end is that of training, as in every schedule, so that
    the last step still has a little more. The momentum is left as it is.
    """
    from ablation.recipes.pieces import Pieces

    rate, peak = recipe.learning_rate, max(1, _warmup_steps(recipe, total_steps))
    ends = [0, peak, max(peak + 1, total_steps)]
    return Pieces(ends, [rate * _ONE_CYCLE_START, rate, rate * _ONE_CYCLE_END], cosine=True)


def step(recipe: RecipeConfig, total_steps: int) -> Rate:
    """Holds the warm-up's rate, then `learning_rate`, multiplied at each of the milestones."""
    from keras.optimizers import schedules

    rate, warmup = recipe.learning_rate, _warmup_steps(recipe, total_steps)
    starts = [round(stone * total_steps) for stone in recipe.milestones]
    values = [rate * recipe.milestone_factor**i for i in range(len(starts) + 1)]
    if warmup:
        starts, values = [warmup, *starts], [recipe.warmup_learning_rate, *values]
    # Keras holds a value up to and including its boundary.
    return schedules.PiecewiseConstantDecay([start - 1 for start in starts], values)


def _check_step(recipe: RecipeConfig) -> None:
    if recipe.warmup_fraction >= recipe.milestones[0]:
        raise UserError(
            f"recipe.warmup_fraction={recipe.warmup_fraction} must be below the first of "
            f"recipe.milestones={recipe.milestones}."
        )


def _warmup_steps(recipe: RecipeConfig, total_steps: int) -> int:
    return round(recipe.warmup_fraction * total_steps)


_WARMUP = ("warmup_fraction", "warmup_learning_rate")

SCHEDULES = {
    "constant": Schedule(constant),
    "cosine": Schedule(cosine, _WARMUP),
    "linear": Schedule(linear, _WARMUP),
    "one_cycle": Schedule(one_cycle, ("warmup_fraction",), (("warmup_fraction", "0.3"),)),
    "step": Schedule(
        step,
        (*_WARMUP, "milestones", "milestone_factor"),
        (("milestones", "[0.5,0.75]"),),
        _check_step,
    ),
}
