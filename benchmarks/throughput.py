"""Images a second of the training step, beside PyTorch and plain Keras, in one interleaved run.

    python benchmarks/throughput.py [--workload NAME ...] [--rounds N] [--seconds S]

Each contestant is a process of its own that holds its network and one batch. They train by turns,
a few seconds each, round after round, so that what slows the machine down slows all of them.
Needs PyTorch beside the project: pip install -e '.[bench]'.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import composed, machine, table

from ablation import environment
from ablation.machine import peak_memory_bytes

CONTESTANTS = {
    "ablation, float32": ("ablation", "float32"),
    "ablation, bfloat16": ("ablation", "mixed_bfloat16"),
    "Keras fit, float32": ("keras", "float32"),
    "Keras fit, bfloat16": ("keras", "mixed_bfloat16"),
    "PyTorch, float32": ("torch", "float32"),
    "PyTorch compiled, float32": ("torch_compiled", "float32"),
    "PyTorch, bfloat16": ("torch", "mixed_bfloat16"),
    "PyTorch compiled, bfloat16": ("torch_compiled", "mixed_bfloat16"),
}
PRODUCTS = {precision: f"product, {precision}" for precision in ("float32", "mixed_bfloat16")}
"""What a processor can do at best: a product of two large matrices, in PyTorch."""

_SIDE = 4096
_WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Workload:
    """A network, the height and width of its images in pixels, and the images a step."""

    arch: str
    size: int
    batch: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"ResNet-{self.arch}, {self.size}x{self.size}, batch {self.batch}"


WORKLOADS = {
    "34": Workload("34", 32, 256),
    "50": Workload("50", 32, 256),
    "20": Workload("20", 32, 128),
    "34-224": Workload("34", 224, 32),
}


class Contestant:
    """A process that trains when it is asked to.

    Attributes:
        precision: in which it computes.
        libraries: bytes of memory that it took before there was any network.
        multiply_adds: of one image, 0 where it does not say; of a product, all of them.
        rates: images a second of each turn; of a product, products a second.
    """

    def __init__(self, kind: str, precision: str, workload: Workload, options: argparse.Namespace):
        self.precision = precision
        order = {"kind": kind, "precision": precision, "threads": options.threads}
        order |= vars(workload) | {"backend": options.backend}
        variables = os.environ | {"KERAS_BACKEND": options.backend}
        if kind == "ablation":
            variables = environment.child(_config(order))
        self._child = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.libraries, self.multiply_adds = self._ask(order)
        self.rates: list[float] = []

    @property
    def rate(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rates)

    def train(self, seconds: float) -> float:
        """Trains for about so many seconds and returns the images a second."""
        self.rates.append(self._ask(seconds))
        return self.rates[-1]

    def end(self) -> int:
        """Ends the process and returns its peak memory in bytes."""
        peak = self._ask(None)
        self._child.wait()
        return peak

    def _ask(self, what: Any) -> Any:
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(json.dumps(what) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that trained ended with {self._child.wait()}.")
        return json.loads(answer)


def main() -> None:
    """Runs the benchmark and prints a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--contestant", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--backend", choices=("tensorflow", "jax", "torch"), default="tensorflow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve()
        return
    packages = tuple(dict.fromkeys(["torch", "keras", options.backend]))
    print(f"{machine(packages)} {options.threads} threads, {options.rounds} rounds.\n")
    header = ["workload", "contestant", "images/s", "lowest to highest", "% of peak"]
    header += ["memory, GiB", "libraries"]
    rows = [
        row
        for name in options.workload
        for row in _compare(WORKLOADS[name], options.contestant, options)
    ]
    print(table(header, rows))


def _compare(
    workload: Workload, names: Sequence[str], options: argparse.Namespace
) -> list[list[str]]:
    """Returns one row a contestant: the median over the rounds, and their range.

    A training step is counted as 6 floating-point operations for each multiply-add of an image:
    two forward, and twice as many for both gradients.
    """
    chosen = {name: CONTESTANTS[name] for name in names}
    precisions = {precision for _, precision in chosen.values()}
    chosen |= {PRODUCTS[precision]: ("product", precision) for precision in sorted(precisions)}
    field = {name: Contestant(*which, workload, options) for name, which in chosen.items()}
    for i in range(options.rounds):
        for name, contestant in field.items():
            rate = contestant.train(options.seconds)
            print(f"{workload.name}: round {i + 1}, {name}: {rate:.4g}", file=sys.stderr)
    products = {precision: field.pop(PRODUCTS[precision]) for precision in sorted(precisions)}
    peaks = {name: 2 * one.multiply_adds * one.rate for name, one in products.items()}
    for name, one in products.items():
        print(f"{workload.name}: {PRODUCTS[name]}: {peaks[name] / 1e9:.0f} GFLOP/s", flush=True)
        one.end()
    image = 6 * max(contestant.multiply_adds for contestant in field.values())
    return [
        [
            workload.name,
            name,
            f"{contestant.rate:.0f}",
            f"{min(contestant.rates):.0f} to {max(contestant.rates):.0f}",
            f"{100 * image * contestant.rate / peaks[contestant.precision]:.0f}",
            f"{contestant.end() / 2**30:.2f}",
            f"{contestant.libraries / 2**30:.2f}",
        ]
        for name, contestant in field.items()
    ]


def _serve() -> None:
    """Is a contestant: answers each line of standard input with a line on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print must not pass for an answer.
    order = json.loads(input())
    os.environ["OMP_NUM_THREADS"] = str(order["threads"])
    makers = {"ablation": _keras_steps, "keras": _keras_steps, "product": _products}
    make = makers.get(order["kind"], _torch_steps)
    importlib.import_module("ablation.training.train" if make is _keras_steps else "peers")
    libraries = peak_memory_bytes()
    train, multiply_adds = make(order)
    train(_WARM_UP_STEPS)
    answer: Any = [libraries, multiply_adds]
    images = 1 if make is _products else order["batch"]
    while True:
        print(json.dumps(answer), file=answers, flush=True)
        seconds = json.loads(input())
        if seconds is None:
            break
        step = statistics.median(train(2))
        answer = images / statistics.median(train(max(3, round(seconds / step))))
    print(json.dumps(peak_memory_bytes()), file=answers, flush=True)


def _batch(order: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32 images (batch, size, size, 3) and int32 labels (batch,), of noise."""
    rng = np.random.default_rng(0)
    images = rng.random((order["batch"], order["size"], order["size"], 3), np.float32)
    return images, rng.integers(0, 10, order["batch"], dtype=np.int32)


def _timed(step: Callable[[], object]) -> Callable[[int], list[float]]:
    def train(steps: int) -> list[float]:
        laps = []
        for _ in range(steps):
            start = time.perf_counter()
            step()
            laps.append(time.perf_counter() - start)
        return laps

    return train


def _products(order: dict[str, Any]) -> tuple[Callable[[int], list[float]], int]:
    import torch

    torch.set_num_threads(order["threads"])
    kind = torch.float32 if order["precision"] == "float32" else torch.bfloat16
    left, right = (torch.rand(_SIDE, _SIDE).to(kind) for _ in range(2))
    return _timed(lambda: torch.mm(left, right)), _SIDE**3


def _torch_steps(order: dict[str, Any]) -> tuple[Callable[[int], list[float]], int]:
    import torch
    from peers import TorchTrainer

    torch.set_num_threads(order["threads"])
    trainer = TorchTrainer(
        order["arch"],
        *_batch(order),
        device="cuda" if torch.cuda.is_available() else "cpu",
        bfloat16=order["precision"] != "float32",
        compiled=order["kind"] == "torch_compiled",
    )
    return _timed(trainer.step), 0


def _keras_steps(order: dict[str, Any]) -> tuple[Callable[[int], list[float]], int]:
    """Trains by `fit`: ours as a run does, on the project's stream; Keras's own as its users do."""
    import keras

    from ablation import backends
    from ablation.networks.cost import count
    from ablation.targets import CLASSES
    from ablation.training.callbacks import StepClock
    from ablation.training.train import compiled_model, set_up

    ours = order["kind"] == "ablation"
    config = replace(_config(order), deterministic=ours)
    images, labels = _batch(order)
    data = SimpleNamespace(
        input_shape=images.shape[1:], meta={"classes": range(10)}, target=lambda dataset: CLASSES
    )
    set_up(config)
    model = compiled_model(config, data, total_steps=10**6)
    multiply_adds = count(model).multiply_adds
    if not ours:
        model = _of_keras_layers(model)
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=1e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=backends.current().jit_compile(),  # Its own choice is far slower on a CPU.
        )

    def train(steps: int) -> list[float]:
        # The first step of a fit also starts the stream of its batches.
        clock = StepClock()
        options = {"verbose": 0, "callbacks": [clock], "shuffle": False}
        if ours:
            stream = backends.current().dataset(
                lambda: iter([(images, labels)] * (steps + 1)), steps + 1
            )
            model.fit(stream, steps_per_epoch=steps + 1, **options)
        else:
            repeated = np.tile(images, (steps + 1, 1, 1, 1)), np.tile(labels, steps + 1)
            model.fit(*repeated, batch_size=order["batch"], **options)
        return clock.steps[1:]

    return train, multiply_adds


def _config(order: dict[str, Any]) -> Any:
    """Returns the configuration of a run with the default recipe."""
    overrides = [f"{key}={order[key]}" for key in ("arch", "precision", "threads", "backend")]
    return composed([*overrides, f"recipe.batch_size={order['batch']}"])


def _of_keras_layers(model):
    """Returns the same network of Keras's own layers."""
    import keras

    from ablation.networks import layers

    kinds = {
        layers.Conv2D: keras.layers.Conv2D,
        layers.BatchNormalization: keras.layers.BatchNormalization,
    }

    def swap(layer):
        kind = kinds.get(type(layer), type(layer))
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=swap)


if __name__ == "__main__":
    main()
