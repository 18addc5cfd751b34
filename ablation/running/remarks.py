"""What a command says of itself: what no run gets, what changes nothing, how its runs ended."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ablation import environment, machine, source
from ablation.config import Config
from ablation.designs.controls import CONTROLS
from ablation.designs.registry import DESIGNS, GRID
from ablation.networks import registry
from ablation.records import saves, store
from ablation.records.store import Run, Status
from ablation.running import runner
from ablation.running.jobs import Expansion
from ablation.terminal import counted

_NAMED_AT_MOST = 20
_WITHOUT_REASON = "nothing says why, see its log.txt"


def on_environment(runs: Sequence[Run]) -> Iterator[str]:
    """Yields what no run gets of the environment, what machines do not share, what is slow."""
    left = environment.set_aside()
    if left:
        named = ", ".join(f"{name}={value}" for name, value in left.items())
        yield f"not handed to the runs, because it could change their results: {named}"
    study = store.study_directory(runs[0].config)
    mounted = machine.local_locks(study)
    if mounted:
        yield (
            f"{study} is mounted so that locks do not reach other machines ({mounted}): start no "
            "second command in this study from another one, it could train the same run"
        )
    precisions = {run.config.precision for run in runs}
    if "mixed_bfloat16" in precisions and machine.lacks_bfloat16() and not runner.gpus():
        yield (
            "precision=mixed_bfloat16 will be slow: this processor has no instructions for it "
            "(AVX512_BF16 or AMX_BF16); plan=true measures float32 beside it"
        )


def without_effect(configs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields which of the parts that a command names change nothing, and in which networks."""
    archs = {config["arch"] for config in configs}
    for arch in sorted(archs & registry.ARCHS.keys() | set(filter(source.is_own, archs))):
        network = registry.find(arch)
        given = [config["parts"] for config in configs if config["arch"] == arch]
        for name in dict.fromkeys(name for parts in given for name in parts):
            if name not in network.parts:
                yield f"{registry.typed(name)} is no part of arch={arch}, which is trained as it is"
            elif not any(
                name in network.settled({k: v for k, v in parts.items() if k in network.parts})
                for parts in given
            ):
                where = network.where(name) or "other networks"
                yield f"{registry.typed(name)} changes nothing in arch={arch} but where {where}"


def on_design(config: Config, expansion: Expansion | None) -> Iterator[str]:
    """Yields how many arms and questions a design has that is no grid, and what its controls are.

    Args:
        config: of one of its runs.
        expansion: the design, None of a single run.
    """
    name = config.design.name
    if expansion and name != GRID:
        design = DESIGNS[name]
        arms = counted(len(design.arms(expansion.space)), "arm")
        asked = counted(len(design.questions(expansion.space)), "question")
        yield f"design={name}, {design.TITLE}: {arms}, {asked}"
    for kind in config.control:
        yield f"control={kind}: {CONTROLS[kind]}"


def on_kept(kept: Sequence[tuple[Run, Status]]) -> Iterator[str]:
    """Yields which runs are not trained, because they have ended before."""
    for run, status in kept[:_NAMED_AT_MOST]:
        left_out = run.config.diagnostics and not store.has_diagnostics(run.directory)
        without = ", so without diagnostics; rerun=all trains it anew" if left_out else ""
        yield f"{run.name}  {status.state} already, not trained again{without}"
    if len(kept) > _NAMED_AT_MOST:
        yield f"and {len(kept) - _NAMED_AT_MOST} more that are not trained again"


def on_ends(ended: Iterable[tuple[Run, Status]]) -> Iterator[str]:
    """Yields how runs have ended, and why."""
    for run, status in ended:
        yield f"{status.state}: {run.name}: {status.reason or _WITHOUT_REASON}"


def on_weights(complete: Iterable[Run]) -> Iterator[str]:
    """Yields which weights that were asked for complete runs do not have."""
    for run in complete:
        kept = saves.kept_weights(run.directory / "weights")
        missing = [epoch for epoch in saves.kept_epochs(run.config) if epoch not in kept]
        if missing:
            yield (
                f"{run.name} has no weights of epoch {', '.join(map(str, missing))}, because "
                "keep_checkpoints was another when it was trained; with rerun=all it is trained "
                "again and keeps them."
            )
