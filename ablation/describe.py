"""`python -m ablation.describe arch=50 [parts.norm=group]`: what a network is made of."""

from ablation import import_path

import_path.tidy()  # Before anything else is imported.

import contextlib
import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table
from rich.text import Text

from ablation import environment, keys
from ablation.command import without_options
from ablation.command.parser import version
from ablation.config import CONF_DIR, Config, DatasetConfig, UserError, to_plain
from ablation.data.kinds import KINDS
from ablation.data.sources import SPLITS, Source, open_source
from ablation.networks.registry import ARCHS
from ablation.terminal import exit_code, import_quietly, open_console
from ablation.validation import explain, validated


def main() -> int:
    """Prints Keras's summary and a table by stage; returns the exit code."""
    return exit_code("ablation.describe", _main)


def _main() -> int:
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        print("Keys: arch, parts of the network, dataset, backend; see python -m ablation --help.")
        print(f"arch is one of {' '.join(ARCHS)}, or my_nets.py:build.")
        with contextlib.suppress(UserError):
            without_options([word for word in sys.argv[1:] if not word.startswith("-")])
            print(keys.help_on_parts())
        return 0
    if "--version" in sys.argv:
        print(version())
        return 0
    try:
        words = without_options(sys.argv[1:])
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            config = to_plain(OmegaConf.create(compose("config", overrides=words)))
        _describe(validated(config))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error
    return 0


def _describe(config: Config) -> None:
    environment.become(environment.quiet(environment.child(config)))
    import_quietly(config.backend)
    from ablation.networks import cost
    from ablation.networks.build import build
    from ablation.networks.own import RefusedError

    source = open_source(config.dataset)
    shape = source.kind.shape(_first(source), config.dataset)
    try:
        model = build(
            config.arch,
            shape,
            len(source.classes),
            vocabulary=_vocabulary(source, config.dataset),
            **config.parts,
        )
    except (RefusedError, ValueError) as error:
        raise UserError(f"there is no such net: {error}") from None
    model.summary(line_length=110)
    table = Table(title=Text(f"{model.name} for {config.dataset.name}, stage by stage"))
    stages = cost.by_stage(model)
    of_blocks = ("blocks", "shortcuts") if any(stage.blocks for stage in stages) else ()
    for column in ("stage", "output", *of_blocks, "parameters", "multiply-adds"):
        table.add_column(column, justify="left" if column in ("stage", "shortcuts") else "right")
    for stage in stages:
        kinds = ("identities", "identity"), ("projections", "projection"), ("zero_pads", "zero_pad")
        shortcuts = [f"{getattr(stage, key)} {name}" for key, name in kinds if getattr(stage, key)]
        words = [str(stage.blocks or ""), ", ".join(shortcuts) or ("none" if stage.blocks else "")]
        table.add_row(
            stage.name,
            "x".join(map(str, stage.output)),
            *(words if of_blocks else []),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds:,}",
        )
    console = open_console(width=110)
    console.print(table)
    counts = cost.count(model)
    console.print(
        f"trainable parameters {counts.trainable:,}; with BN statistics {counts.total:,}; "
        f"multiply-adds of one {source.kind.noun.one} {counts.multiply_adds:,}",
        highlight=False,
    )
    if counts.uncounted:
        console.print(f"not counted: {', '.join(counts.uncounted)}", highlight=False)


def _vocabulary(source: Source, dataset: DatasetConfig) -> int | None:
    """Returns how many tokens there are, None of what is no tokens."""
    if source.kind is not KINDS["tokens"]:
        return None
    splits = ([one.image for one in source.split(split)[1]] for split in SPLITS)
    train, val = (np.stack([text for text in texts if text is not None]) for texts in splits)
    return int(source.kind.facts(train, val, dataset, Path())["vocabulary"])


def _first(source: Source) -> np.ndarray:
    """Returns the first input."""
    for example in source.split("train")[1]:
        if example.image is not None:
            return example.image
    raise UserError("the data set holds nothing to train on.")


if __name__ == "__main__":
    sys.exit(main())
