"""What TensorFlow does on a GPU, as far as it can be tried without one."""

import subprocess
import sys

from ablation import backends

STEPS = """
import keras, numpy as np
from ablation.config import RecipeConfig
from ablation.networks.build import build
from ablation.training.optimizers import build_optimizer

recipe = RecipeConfig("sgd", "sgd", 0.01, 8, momentum=0.9, weight_decay=1e-4)
images = np.random.default_rng(0).standard_normal((8, 8, 8, 1)).astype(np.float32)
losses = []
for compiled in (False, True):
    model = build("20", (8, 8, 1), 10, seed=0, plain=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(build_optimizer(recipe, 10), loss, jit_compile=compiled)
    assert model.jit_compile == compiled
    losses.append([float(model.train_on_batch(images, np.arange(8))) for _ in range(3)])
np.testing.assert_allclose(*losses, rtol=1e-3)
"""


def test_xla_compiles_the_step_that_a_gpu_would_run():
    # In a process of its own, since deterministic operations, once set, keep XLA out.
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_xla_compiles_where_there_is_a_gpu(monkeypatch):
    for found in ([], ["GPU:0"]):
        monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda _, gpus=found: gpus)
        assert backends.current().jit_compile() == bool(found)
