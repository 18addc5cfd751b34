"""A torch.nn.Module in Keras: what it is asked runs where Keras's backend is PyTorch."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ablation import environment
from ablation.data import cache
from support import TINY, check_resumed

pytest.importorskip("torch", reason="needs PyTorch")

_TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ask(cli, tmp_path_factory):
    """Returns the answers of `torch_networks.py` to questions, each with its arguments."""
    folder = tmp_path_factory.mktemp("torch")

    def answer(questions, **variables):
        code = f"import sys; sys.path.insert(0, {str(_TESTS)!r})\n"
        code += (_TESTS / "networks" / "torch_networks.py").read_text()
        variables = {"KERAS_BACKEND": "torch"} | variables
        done = cli(json.dumps(questions), code=code, cwd=folder, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return answer


@pytest.fixture(scope="module")
def answers(ask, tmp_path_factory):
    """To every question that needs no environment of its own, from one process."""
    path = tmp_path_factory.mktemp("diagnosed") / "diagnostics.csv"
    other = tmp_path_factory.mktemp("parametrized") / "diagnostics.csv"
    questions = dict.fromkeys(("counts", "stages", "parameters", "modes", "refusals", "paired"), ())
    return ask(questions | {"diagnosed": [str(path)], "parametrized": [str(other)]})


def test_multiply_adds_are_those_of_a_hand_count(answers):
    found = answers["counts"]
    assert found.pop("bilinear") == ["module (Bilinear)"]
    assert len(found) == 13
    for name, (counted, by_hand, uncounted) in found.items():
        assert (name, counted) == (name, by_hand)
        assert not uncounted


def test_a_module_is_described_by_those_inside_it(answers):
    found = answers["stages"]
    assert found["Net"] == [
        ["conv", [4, 8, 8], 9 * 4 + 4, 64 * 9 * 4],
        ["norm", [4, 8, 8], 2 * 4, 0],
        ["head", [10], 256 * 10 + 10, 256 * 10],
    ]
    assert found["Wrapped"] == [
        ["net.body", [16], 64 * 32 + 32 + 32 * 16 + 16, 64 * 32 + 32 * 16],
        ["net.lstm", [], 4 * (16 * 8 + 8 * 8 + 8 + 8), 4 * (16 * 8 + 8 * 8)],
        ["net.head", [10], 8 * 10 + 10, 8 * 10],
        ["Listed itself", [10], 64 * 64, 64 * 64],
    ]
    for lines, whole in found["sums"].values():
        assert lines == whole


def test_running_statistics_are_parameters_that_nothing_trains(answers):
    found = answers["parameters"]
    # Convolution, norm and head; the norm's two statistics and the net's own, but no counter.
    assert found["trainable"] == (9 * 4 + 4) + 2 * 4 + (256 * 10 + 10)
    assert found["total"] - found["trainable"] == 2 * 4 + 1
    assert found["multiply_adds"] == 64 * 9 * 4 + 256 * 10


def test_layers_inside_a_module_are_diagnosed_as_pytorch_itself_has_them(answers):
    found = answers["diagnosed"]
    rows = found["rows"]
    # The convolution in front of a norm by what comes out of that, before the ReLU writes over it.
    assert [row["layer"] for row in rows] == ["body.0", "body.3", "shortcut"]
    assert [row["depth"] for row in rows] == ["1", "2", ""]
    assert [row["kernel"] for row in rows] == ["3x3", "3x3", "5x5"]
    measured = [float(row["response_sd"]) for row in rows]
    assert measured == pytest.approx(found["responses"], rel=1e-4)
    assert [float(row["gradient_norm"]) for row in rows] == pytest.approx(
        found["gradients"], rel=1e-4
    )
    assert found["kept"]


def test_layers_stand_in_the_order_of_calls_whatever_their_weights_are_made_of(answers):
    found = answers["parametrized"]
    rows = found["rows"]
    assert [(row["layer"], row["depth"]) for row in rows] == [("first", "1"), ("second", "2")]
    measured = [float(rows[0][key]) for key in ("response_sd", "gradient_norm")]
    # Its spectral norm takes a step of its own in training.
    assert measured == pytest.approx(found["first"], rel=0.05)


def test_only_training_moves_statistics_and_drops_units(answers):
    found = answers["modes"]
    assert found["before"] == found["after_predict"] != found["after_fit"]
    assert found["variable"] == found["after_fit"]
    assert found["predictions_differ"] == 0
    assert found["training_differs"] > 0.01


def test_layers_inside_a_module_start_as_in_the_full_network(answers):
    found = answers["paired"]
    dense, block, others = 64 * 65, 64 * 65 + 64 * 2, 64 * 65 + 64 + 64 * 10 + 10
    assert found["alike"]["before"] == 3 * 64 * 2  # Constants of the norms.
    sizes = {
        "alike": dense + 3 * block + others,
        "no stem": 3 * block + others,
        "one block": dense + block + others,
    }
    for name, size in sizes.items():
        one = found[name]
        assert one["after"] == one["parameters"] == size
        assert one["buffer"] and not one["missing"]
        assert not one["said"]
    one = found["drawn otherwise"]
    assert one["said"] == ["blocks.0.0 (Linear)", "head"]
    assert one["parameters"] - one["after"] == 64 * 64 + 64 * 10
    # The second weight is no longer the first's, and the full network has no such.
    assert found["untied"]["parameters"] - found["untied"]["after"] == 64 * 64 + 64
    assert found["no stem"]["surplus"].endswith("untrained: stem.weight, stem.bias")
    assert found["alike"]["surplus"] == ""


def test_a_module_that_does_not_fit_is_refused(answers):
    seven, images, three, auxiliary, *grown = answers["refusals"]
    assert "logits of shape (batch, 10)" in seven and "(2, 7)" in seven
    assert "(2, 64)" in images
    assert "(2, 3)" in three
    assert "(batch, 10) in training. Received: tuple" in auxiliary
    for said, shape in zip(grown, ("(3,)", "(1, 1)"), strict=True):
        assert "Grows replaced its buffer seen by one of another shape" in said
        assert f"Received: {shape} for (1,)" in said


def test_a_stopped_run_of_a_module_goes_on_as_if_nothing_had_happened(
    ask, config, cache_dir, tmp_path
):
    keys = config(*TINY, "backend=torch", f"cache_dir={cache_dir}", "diagnostics=true")
    question = {"resumed": [json.dumps(asdict(keys)), str(tmp_path)]}
    check_resumed(*ask(question, **environment.child(keys))["resumed"])


TEXTS = """
from torch import nn

class Texts(nn.Module):
    def __init__(self, vocabulary, classes):
        super().__init__()
        self.table = nn.Embedding(vocabulary, 8)
        self.body = nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, classes)

    def forward(self, tokens):
        assert not tokens.is_floating_point()
        return self.head(self.body(self.table(tokens))[0].mean(1))

def build(input_shape, classes, *, vocabulary: int):
    return Texts(vocabulary, classes)

def absolute(values, outputs):
    return (values - outputs).abs().mean(-1)
"""


def test_a_module_of_ones_own_reads_tokens_and_goes_on_where_it_was_stopped(
    cli, config, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.py").write_text(TEXTS)
    tokens = np.random.default_rng(0).integers(1, 9, (40, 6))
    np.savez(tmp_path / "data.npz", x=tokens, y=(tokens == 3).sum(axis=1) + 0.5)
    keys = config(
        "arch=texts.py:build",
        "backend=torch",
        "dataset=arrays",
        "dataset.path=data.npz",
        "dataset.augment=none",
        "recipe.loss=texts.py:absolute",
        "recipe.batch_size=6",
        "epochs=2",
        f"cache_dir={tmp_path / 'cache'}",
    )
    script = (_TESTS / "stopped_and_resumed.py").read_text()
    order = json.dumps(asdict(keys)), str(tmp_path)
    done = cli(*order, code=script, cwd=tmp_path, **environment.child(keys))
    assert done.returncode == 0, done.stderr
    untouched, *stopped = json.loads(done.stdout)
    check_resumed(untouched, *stopped)
    assert untouched["kind"] == "tokens"
    std = cache.find(keys.dataset, keys.cache_dir).meta["target"]["std"][0]
    # The loss is of standardised values, the error in their unit.
    assert untouched["val_mae"] == pytest.approx(untouched["val_loss"] * std, rel=1e-4)
