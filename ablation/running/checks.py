"""What a command may ask for as a whole, beyond what each of its configurations may."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from ablation import claims, source
from ablation.config import (
    COMMAND_KEYS,
    RECORD_KEY,
    Config,
    TuneConfig,
    UserError,
    expanded,
)
from ablation.designs import BLOCKS
from ablation.designs.registry import GRID
from ablation.factors import (
    PARTS,
    check_reference,
    find_factor,
    labels,
    level_of,
    of_parts,
    usual_contrast,
    varying_within,
)
from ablation.networks import registry
from ablation.records import asked, store
from ablation.records import claims as recorded
from ablation.records.store import Run
from ablation.running import arms
from ablation.running import claims as claiming
from ablation.running.arms import Known
from ablation.running.jobs import Expansion
from ablation.validation import check_report


def check_swept(swept: Sequence[str]) -> None:
    """Raises UserError if a key is swept that is one for the whole command."""
    if "experiment" in swept:
        raise UserError("experiment cannot be swept: each has a sweep and a study of its own.")
    for key in COMMAND_KEYS:
        if key in {name.split(".")[0] for name in swept}:
            raise UserError(f"{key} is one for the whole command and cannot be swept.")


def check_sweeps(config: Config, expansion: Expansion | None) -> None:
    """Raises UserError if a command asks for what goes only with a sweep, or only without.

    Args:
        config: of one of its runs.
        expansion: the design of the sweep, None of a single run.
    """
    if expansion and expansion.until and config.rerun == "all":
        raise UserError(
            "rerun=all with seed=until() would decide by runs that it is about to replace: "
            "name the seeds, such as seed=0,1,2, or leave it out."
        )
    tune = config.tune
    if config.control and not expansion:
        raise UserError("control= is beside the arms of a sweep: put -m before the keys.")
    if tune.grid and not expansion:
        raise UserError(f"tune.{tune.grid[0]} trains several runs: put -m before the keys.")
    if tune != TuneConfig() and not tune.grid:
        raise UserError(
            "tune.share, tune.seeds and tune.epochs say how keys are tuned, and none is: add "
            "what to try, after -m, such as tune.recipe.learning_rate=0.1,0.03,0.01."
        )


def check_backends(configs: Sequence[Config]) -> None:
    """Raises UserError if a PyTorch network is to run on another backend, where it would fail.

    That is read from its code, which imports PyTorch and nothing that could make a Keras model.
    """
    elsewhere = (one.arch for one in configs if one.backend != "torch" and source.is_own(one.arch))
    for arch in dict.fromkeys(elsewhere):
        used = source.libraries(source.locate(arch))
        if "torch" in used and not any("keras" in name or name == "tensorflow" for name in used):
            raise UserError(
                f"arch={arch} imports torch and no Keras, so it makes a torch.nn.Module, which "
                "needs backend=torch: add that to the command."
            )


def known_configs(configs: Sequence[Config], study: Path) -> Iterator[Known]:
    """Yields the configurations of a command and of its study's runs, and their parts."""
    for config in configs:
        yield asdict(config), registry.record(config).parts
    for directory in store.run_directories(study):
        with contextlib.suppress(OSError, yaml.YAMLError, KeyError, TypeError):
            stored = store.Stored(directory).config()
            yield stored, stored[RECORD_KEY]["parts"]


def check_comparison(
    config: Config, expansion: Expansion | None, known: Sequence[Known], study: Path
) -> None:
    """Raises UserError unless the report can compare what it is asked to.

    Args:
        config: of one of the command's runs.
        expansion: the design of the sweep, None of a single run.
        known: see `known_configs`.
        study: the study's folder.
    """
    report, swept = config.report, expansion.swept if expansion else []
    check_report(report)
    parts = of_parts({one["arch"]: network for one, network in known})
    factors = dict.fromkeys([*asked.factors(study), *swept, *parts])
    contrast = report.contrast
    if not contrast:
        nets = ((one["arch"], labels(one["parts"], network)) for one, network in known)
        keys = [one for one in factors if one not in (*BLOCKS, *parts)]
        others = (
            (one["dataset"]["name"], {key: str(level_of(one, key)) for key in keys})
            for one, _ in known
        )
        contrast = usual_contrast(varying_within(nets), varying_within(others))
    key = find_factor(contrast, list(factors))
    check_reference(report.reference, key, known)
    if expansion and expansion.until and config.design.name == GRID:
        own = [one for one in swept if one not in BLOCKS]
        if key not in own:
            raise UserError(
                f"seed=until({expansion.until}): the report compares "
                f"{key.removeprefix(PARTS)}, of which the command names one level; add "
                f"report.contrast={own[0].removeprefix(PARTS)}."
            )


def read_claims(
    configs: Sequence[Config], expansion: Expansion | None, known: Sequence[Known], study: Path
) -> claims.File | None:
    """Returns the claims that a command or its study has, None if there are none.

    Args:
        configs: of the command's runs.
        expansion: the design of the sweep, None of a single run.
        known: see `known_configs`.
        study: the study's folder.

    Raises:
        UserError: they cannot be read, or the study cannot answer one.
    """
    path, named = study / recorded.FILE, configs[0].claims
    if named is not None:
        path = expanded("claims", named)
    elif not path.exists():
        return None
    file = claims.read(path)
    swept = expansion.swept if expansion else []
    called = arms.of_command(expansion, configs) if expansion else []
    claiming.check(file, study, known, swept, configs[0].control, called)
    return file


def check_arms(design: str, expansion: Expansion, runs: Sequence[Run]) -> None:
    """Raises UserError if all arms of a design are one run, of which nothing can be asked.

    Args:
        design: its name.
        expansion: of it.
        runs: of its jobs, in order.
    """
    if design == GRID:
        return
    of_arms = [run.name for run in runs[: len(expansion.of_arms)]]
    count = 1 + max(job.arm for job in expansion.of_arms)
    blocks = [{*of_arms[first : first + count]} for first in range(0, len(of_arms), count)]
    if all(len(names) == 1 for names in blocks):
        varied = " and ".join(key for key in expansion.swept if key not in BLOCKS)
        raise UserError(
            f"design={design} asks nothing: {varied} changes no result here, so that all "
            f"{count} arms are one run; name levels that differ."
        )
