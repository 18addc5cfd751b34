"""The values that a command tunes, as typed: `tune.KEY=VALUE,VALUE`."""

from ablation import keys
from ablation.command import overrides
from ablation.config import TuneConfig, UserError
from ablation.designs.seeds import AT_MOST
from ablation.records import store
from ablation.running.jobs import Expansion, parsed, values_of
from ablation.text import did_you_mean

_TUNED = ("recipe.", "parts.", "dataset.augment", "dataset.normalisation")
"""Beginnings of the keys that can be tuned."""


def grid(tune: TuneConfig, expansion: Expansion) -> dict[str, list[str]]:
    """Returns the overrides that set each value of each key; needs no data.

    Args:
        tune: what the command tunes.
        expansion: the runs that it asks for.

    Raises:
        UserError: a key or value cannot be tuned.
    """
    _check(tune, expansion)
    given = {word.partition("=")[0].lstrip("+") for word in expansion.jobs[0].words}
    found: dict[str, list[str]] = {}
    for one in tune.grid:
        typed, equals, values = str(one).partition("=")
        key = keys.full(typed)
        if not equals or not values:
            raise UserError(f"tune.{one} is written as tune.KEY=VALUE,VALUE.")
        known = keys.known_keys() | keys.groups()
        if not key.startswith("recipe.options.") and not known & {typed, key}:
            raise keys.unknown_key(typed) if "." in typed else _unknown(typed)
        if not key.startswith(_TUNED):
            raise UserError(
                f"tune.{typed}: {typed} cannot be tuned. Allowed: recipe.KEY, parts.KEY, "
                "dataset.augment and dataset.normalisation."
            )
        if key in found:
            raise UserError(f"tune.{typed} is named twice; name all of its values once.")
        if key in expansion.swept:
            raise UserError(
                f"tune.{typed}: {typed} is a factor of this command, whose levels are compared; "
                "take it out of one of the two."
            )
        if key in given:
            raise UserError(
                f"tune.{typed}: the command sets {typed} too; take {typed}=... out, and if its "
                "value is to be tried, name it among the others."
            )
        bare = values.strip("[] ")
        if values.startswith("[") and "list" not in str(keys.schema().get(key)):
            raise UserError(
                f"tune.{typed}={values} is written without brackets: tune.{typed}={bare}."
            )
        words = values_of(parsed(overrides([f"{typed}={values}"], sweeps=True)))
        (found[key],) = words.values()
        if len(found[key]) < 2:
            raise UserError(
                f"tune.{typed}={values} names one value, which leaves nothing to choose: name two "
                f"or more, or set it by {found[key][0]}."
            )
    return found


def _check(tune: TuneConfig, expansion: Expansion) -> None:
    """Raises UserError unless trials can be made so."""
    if not 0 < tune.share < 1:
        raise UserError(
            f"tune.share={tune.share} must be more than 0 and below 1: the share of the training "
            "data that judges the trials, such as 0.1."
        )
    if not 1 <= tune.seeds <= AT_MOST:
        raise UserError(f"tune.seeds={tune.seeds} must be from 1 to {AT_MOST:,}.")
    if tune.epochs is not None and tune.epochs < 1:
        raise UserError(f"tune.epochs={tune.epochs} must be 1 or more, or null: as many as a run.")
    seeds = [job.config["seed"] for job in expansion.jobs]
    if max(seeds) >= store.TUNING_SEEDS:
        raise UserError(
            f"seed={max(seeds)}: the seeds from {store.TUNING_SEEDS} on are those of tuning runs, "
            "which no reported run may have; name smaller ones."
        )


def _unknown(word: str) -> UserError:
    """Returns the error of a key below `tune.` that is neither one of its own nor can be tuned."""
    names = [*vars(TuneConfig()), *(key for key in keys.known_keys() if key.startswith(_TUNED))]
    names.remove("grid")
    words = {name.rpartition(".")[2]: f"tune.{name}" for name in reversed(names)}
    hint = did_you_mean(word, words, words.__getitem__)
    return UserError(
        f"unknown key tune.{word}.{hint} Keys: tune.share, tune.seeds, tune.epochs, and tune.KEY "
        "of what is tuned, such as tune.recipe.learning_rate."
    )
