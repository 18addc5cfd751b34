"""The claims of a command held against what it and its study train, before anything is trained."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ablation import claims
from ablation.config import PLACES, flatten, result_keys
from ablation.factors import PARTS, labels, spelled
from ablation.records import asked, controls
from ablation.running import arms
from ablation.running.arms import Known


def check(
    file: claims.File,
    directory: Path,
    known: Sequence[Known],
    swept: Sequence[str],
    kinds: Iterable[str],
    named: Sequence[str],
) -> None:
    """Raises UserError unless the study can answer every claim once the command has run.

    Args:
        file: of the claims.
        directory: of the study.
        known: of the jobs of the command and of the study's runs.
        swept: the keys that the command sweeps.
        kinds: of controls that the command trains.
        named: what the arms of its design are called; see `arms.of_command`.
    """
    levels: dict[str, dict[str, None]] = {}
    for config, network in known:
        found = flatten(result_keys(config)) | labels(config["parts"], network)
        found |= {f"dataset.{place}": config["dataset"].get(place) for place in PLACES}
        found |= {key: config[key]["name"] for key in ("dataset", "recipe")}
        for key, level in found.items():
            if key != "seed":
                levels.setdefault(key, {})[spelled(level)] = None
    of_keys = {key: list(of_key) for key, of_key in levels.items()}
    parts = [key for key in of_keys if key.startswith(PARTS)]
    factors = dict.fromkeys([*asked.factors(directory), *swept, *parts])
    there = dict.fromkeys([*kinds, *(one.kind for one in controls.controls(directory))])
    names = dict.fromkeys([*named, *arms.on_record(directory)])
    for claim in file.claims:
        claims.check(claim, of_keys, list(factors), list(names), list(there))
