"""What a command says of itself before it trains: what no run gets, and what changes nothing."""

from collections.abc import Iterator, Sequence
from typing import Any

from ablation import environment, machine, source
from ablation.networks import registry
from ablation.records import store
from ablation.records.store import Run
from ablation.running import runner


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
