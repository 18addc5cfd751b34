"""How long a report, a plan, Hydra and the start take, and how much memory, as a study grows.

    python benchmarks/scale.py [--runs 100 1000 10000] [--folder DIR]

Generates studies of complete runs through `ablation.records.store`, each with its digests, in two
shapes: "cells" (many combinations of factors, up to 25 seeds) and "seeds" (four cells, many seeds).
Then starts each command in a fresh process. Nothing is trained. Prints markdown; times are medians
of several repeats, but for the large studies.
"""

import argparse
import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import common
from hydra import compose, initialize_config_dir

from ablation.config import CONF_DIR, Config, to_plain
from ablation.networks import registry
from ablation.networks.registry import ARCHS
from ablation.records import asked, durable, store
from ablation.records.store import Run
from ablation.report import PAGE
from ablation.running import runner
from ablation.validation import validated

REPEATS = 3
QUICK = 100
"""Runs up to which a command is repeated; beyond, once is enough to tell how it grows."""
SIZES = {100: (5, 1, 2, 5), 1000: (5, 2, 5, 10), 10_000: (10, 2, 10, 25)}
"""Runs of the shape "cells", and its levels of arch, preact and learning rate, and its seeds."""
LONG_EPOCHS = 200
HYDRA_JOBS = (10, 60)
"""Sweep lengths whose difference in time gives the cost of one job."""

# What Hydra does for a sweep of ours whose jobs and callback do nothing.
HYDRA_ALONE = """
import hydra
from ablation.config import CONF_DIR
hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(lambda _: None)()
"""

ABLATION = ("python", "-m", "ablation")

Levels = dict[str, list[Any]]


def shapes(runs: int) -> dict[str, Levels]:
    """Returns the levels of each factor of a study of so many runs, by the name of its shape."""
    archs, preacts, rates, seeds = SIZES[runs]
    plain: Levels = {"parts.plain": [True, False]}
    return {
        "cells": {"arch": list(ARCHS)[:archs]}
        | plain
        | {
            "parts.preact": [False, True][:preacts],
            "recipe.learning_rate": [round(0.01 * (1 + i), 2) for i in range(rates)],
            "seed": list(range(seeds)),
        },
        "seeds": {"arch": ["34", "50"]} | plain | {"seed": list(range(runs // 4))},
    }


def sweep(levels: Levels) -> list[str]:
    """Returns the overrides that sweep these levels."""
    texts = {key: ",".join(str(value).lower() for value in levels[key]) for key in levels}
    if "seed" in levels:
        texts["seed"] = f"range({len(levels['seed'])})"
    return [f"{key}={text}" for key, text in texts.items()]


def generate(folder: Path, study: str, levels: Levels) -> None:
    """Writes the directory of every run of a study as if it had been trained.

    Without waiting for the disk, which these files are not worth.
    """
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = to_plain(compose("config", overrides=[f"study={study}"]))
    config |= {"runs_dir": str(folder / "runs"), "cache_dir": str(folder / "cache"), "threads": 2}
    whole = validated(config)
    runner.prepare(whole.dataset, whole.cache_dir)
    fingerprint = runner.resolve([whole])[0].fingerprint
    asked.add(folder / "runs" / study, list(levels))
    with mock.patch("os.fsync"):
        for values in itertools.product(*levels.values()):
            changed = _with(config, dict(zip(levels, values, strict=True)))
            _write(Run(changed, registry.record(changed), fingerprint))


def _with(config: dict[str, Any], values: dict[str, Any]) -> Config:
    changed = config | {group: dict(config[group]) for group in ("recipe", "parts")}
    for key, value in values.items():
        group, _, word = key.rpartition(".")
        (changed[group] if group else changed)[word] = value
    return validated(changed)


def _write(run: Run) -> None:
    config, directory = run.config, run.directory
    directory.mkdir()
    durable.write_yaml(directory / "config.yaml", run.described)
    facts = {"fingerprint": run.fingerprint, "source_sha256": 64 * "0", "python": "3.11.0"}
    packages = {"tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.4.6"}
    machine = {"platform": "Linux", "processor": "none", "devices": ["CPU"], "threads": 2}
    durable.write_json(directory / "provenance.json", facts | {"packages": packages} | machine)
    history = list(_history(config, int(run.identity, 16) / 2**32))
    lines = [",".join(store.HISTORY_COLUMNS), *(",".join(map(str, row)) for row in history)]
    durable.write_text(directory / "history.csv", "\n".join(lines) + "\n")
    files = {"files": store.file_digests(directory)}
    durable.write_json(directory / "result.json", _result(run, history[-1]) | files)
    store.write_status(directory, store.Status().begun().ended(store.COMPLETE))


def _history(config: Config, noise: float) -> Iterator[tuple[float, ...]]:
    """Yields epochs that learn: deep plain nets and low rates less, each run a little different."""
    depth = math.log10(int(config.arch))
    rate = config.recipe.learning_rate
    best = (
        0.97 - (0.3 * depth if config.parts["plain"] else 0.05) - 0.002 / rate + 0.1 * (noise - 0.5)
    )
    for epoch in range(1, config.epochs + 1):
        accuracy = best * (1 - math.exp(-epoch / 2)) + 0.05
        loss = 2.5 * (1 - accuracy)
        yield epoch, loss, accuracy, loss * (1.1 + noise), accuracy - 0.03, rate / epoch, 30.0


def _result(run: Run, last: tuple[float, ...]) -> dict[str, Any]:
    epochs, depth = run.config.epochs, int(run.config.arch)
    metrics = dict(zip(store.HISTORY_COLUMNS[1:5], last[1:5], strict=True))
    budget = {
        "epochs": epochs,
        "steps": 22 * epochs,
        "steps_per_epoch": 22,
        "examples_seen": 1408 * epochs,
        "schedule_completed": 1.0,
        "train_images": 1437,
        "val_images": 360,
        "train_fingerprint": run.fingerprint,
        "val_fingerprint": run.fingerprint,
        "order_sha256": f"order {run.config.seed}",
        "weights_sha256": run.identity,
        "classes": [str(digit) for digit in range(10)],
    }
    cost = {
        "trainable": 13_000 * depth,
        "total": 13_100 * depth,
        "multiply_adds": 2_000_000 * depth,
        "resumed_from_epoch": 0,
        "seconds_per_epoch": 30.0,
        "seconds": 30.0 * epochs,
        "peak_memory_bytes": 2**30,
    }
    return metrics | budget | cost


def median(
    command: Sequence[str], folder: Path, expected: int = 0, repeats: int = REPEATS
) -> common.Measured:
    """Returns the measurement with the median time of several."""
    cache = str(folder / "cache")
    found = [
        common.measure(command, folder, expected, ABLATION_CACHE_DIR=cache) for _ in range(repeats)
    ]
    return sorted(found, key=lambda one: one.seconds)[repeats // 2]


def report(study: str) -> list[str]:
    """Returns the command that writes the report of a study anew."""
    return ["python", "-m", "ablation.report", f"runs/{study}"]


def plan(study: str, levels: Levels) -> list[str]:
    """Returns the command that plans a study, of which every run is complete."""
    return [*ABLATION, "-m", *sweep(levels), f"study={study}", "plan=true"]


def growth(folder: Path, sizes: Sequence[int]) -> Iterator[list[str]]:
    """Yields a row for each size and shape: report, plan and the same command again."""
    for runs in sizes:
        for shape, levels in shapes(runs).items():
            study = f"{shape}-{runs}"
            if not (folder / "runs" / study).exists():
                generate(folder, study, levels)
            again = [*ABLATION, "-m", *sweep(levels), f"study={study}"]
            commands = {"report": report(study), "plan": plan(study, levels), "again": again}
            repeats = REPEATS if runs <= QUICK else 1
            found = {
                name: median(command, folder, repeats=repeats) for name, command in commands.items()
            }
            assert f"0 of {runs:,} runs to train" in found["plan"].output
            cells = [
                cell
                for one in found.values()
                for cell in (f"{one.seconds:.1f} s", f"{one.peak_bytes / 2**20:.0f} MiB")
            ]
            yield [f"{runs:,}", shape, *cells]


def pages(folder: Path, sizes: Sequence[int]) -> Iterator[list[str]]:
    """Yields a row for each size and shape: the page that its report has, and what it alone takes.

    The page is what an open browser gets after every epoch of a sweep that trains.
    """
    # Not above: the peak memory of a process that is started counts what its parent has loaded.
    from ablation.analysis.reading import load
    from ablation.report.page import page

    for runs in sizes:
        for shape in shapes(runs):
            directory = folder / "runs" / f"{shape}-{runs}"
            size = (directory / PAGE).stat().st_size
            start = time.perf_counter()
            study = load(directory)
            found = study.comparisons()
            read = time.perf_counter()
            page(study, found, [[] for _ in found], [None for _ in found])
            times = read - start, time.perf_counter() - read
            longest = len(page(_longer(study), found, [[] for _ in found], [None for _ in found]))
            sizes = [f"{one / 1e6:.2f} MB" for one in (size, longest)]
            yield [f"{runs:,}", shape, *sizes, *(f"{one:.2f} s" for one in times)]


def _longer(study: Any) -> Any:
    """Returns a study whose runs have 200 epochs of random numbers, which no page holds in full."""
    import numpy as np
    import pandas as pd

    rng, frames = np.random.default_rng(0), []
    last = int(study.history["epoch"].max())
    for before in range(0, LONG_EPOCHS, last):
        frame = study.history.assign(epoch=study.history["epoch"] + before)
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "seconds"):
            frame[name] *= rng.uniform(0.5, 1, len(frame))
        frames.append(frame)
    history = pd.concat(frames).sort_values(["run", "epoch"], kind="stable")
    return replace(study, history=history)


def hydra_per_job(folder: Path) -> float:
    """Returns the seconds that Hydra itself takes for each job of a sweep."""
    alone = ["python", "-c", HYDRA_ALONE, "-m", "~hydra.callbacks.study", "hydra/sweeper=basic"]
    few, many = (median([*alone, f"seed=range({jobs})"], folder).seconds for jobs in HYDRA_JOBS)
    return (many - few) / (HYDRA_JOBS[1] - HYDRA_JOBS[0])


def start_up(folder: Path) -> Iterator[list[str]]:
    """Yields a row for each command that a person waits for.

    A mistake is answered on standard error, so that its first line is its end.
    """
    levels: Levels = {"arch": ["34", "50"], "parts.plain": [True, False]}
    study = "few"
    if not (folder / "runs" / study).exists():
        generate(folder, study, levels)
    commands = {
        "`--help`": ([*ABLATION, "--help"], 0),
        "a key mistyped": ([*ABLATION, "archh=34"], 2),
        "a value mistyped, in a sweep": ([*ABLATION, "-m", "arch=34,35"], 2),
        "`plan=true`, 4 reused runs": (plan(study, levels), 0),
        "report of 4 runs": (report(study), 0),
    }
    for name, (command, expected) in commands.items():
        found = median(command, folder, expected)
        times = f"{found.answered:.2f} s", f"{found.seconds:.2f} s"
        yield [name, *times, f"{found.peak_bytes / 2**20:.0f} MiB"]


def main() -> None:
    """Prints every table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--folder", type=Path, help="keeps the studies here and uses them again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        print(f"# Scale\n\n{common.machine()}\n")
        header = ["start-up", "first line", "end", "peak memory"]
        print(common.table(header, list(start_up(folder))), flush=True)
        columns = [(name, "memory") for name in ("report", "plan", "the same command again")]
        header = ["runs", "shape", *itertools.chain(*columns)]
        print(f"\n{common.table(header, list(growth(folder, asked.runs)))}", flush=True)
        header = ["runs", "shape", "report.html", "200 epochs, without figures"]
        header += ["to read the study", "to make the page"]
        print(f"\n{common.table(header, list(pages(folder, asked.runs)))}", flush=True)
        print(
            f"\nHydra itself: {1000 * hydra_per_job(folder):.0f} ms for each job of a sweep that "
            "trains at least one run, for composing it twice and launching it."
        )


if __name__ == "__main__":
    main()
