"""The layouts of designs, rebuilt from the numbers of three published tables."""

import pandas as pd
import pytest

from ablation.analysis.reading import load
from ablation.records import asked
from ablation.report import latex, markdown
from ablation.report.cells import arm_cells, runs_cells
from support import current_sources

NETS = """
from typing import Literal

def mae(input_shape, classes, *, decoder_depth: Literal[8, 1, 2, 4, 12] = 8): ...

def deit(input_shape, classes, *, mixup: bool = True, cutmix: bool = True,
         repeated_augmentation: bool = True, erasing: bool = True, stochastic_depth: bool = True,
         dropout: bool = False, moving_average: bool = False): ...

def convnext(input_shape, classes, *, recipe: Literal["baseline", "enhanced"] = "baseline",
             stage_ratio: bool = False, patchify: bool = False, depthwise: bool = False,
             wider: bool = False, inverted: bool = False, moved_up: bool = False,
             kernel: Literal[3, 5, 7, 9, 11] = 3, gelu: bool = False, fewer_activations: bool =
                 False,
             fewer_norms: bool = False, layer_norm: bool = False, separate_downsampling: bool =
                 False):
    ...

def swin(input_shape, classes): ...
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


def _around(mean, sd, seed):
    """Three values of a mean and a standard deviation."""
    return (mean + sd * (seed - 1)) / 100


def _table(study, sort="named"):
    (comparison,) = load(study).comparisons()
    return comparison, arm_cells(comparison, sort)


def test_the_default_of_one_factor_of_many_levels_is_marked(nets, stored_design):
    """He et al. 2021, arXiv 2111.06377, Table 1a: fine-tuning by decoder depth."""
    published = {8: 84.9, 1: 84.8, 2: 84.9, 4: 84.9, 12: 84.4}
    study = stored_design(
        "leave_one_out",
        {"parts.decoder_depth": list(published)},
        lambda levels, seed: published[levels["parts.decoder_depth"]] / 100,
        "arch=nets.py:mae",
    )
    comparison, cells = _table(study)
    assert cells.header[:3] == ["decoder_depth", "validation accuracy", "difference"]
    assert [(row[0], row[1], row[2]) for row in cells.rows] == [
        ("8 (reference)", "84.90 (n=1)", ""),
        ("1", "84.80 (n=1)", "-0.10 (n=1)"),
        ("2", "84.90 (n=1)", "+0.00 (n=1)"),
        ("4", "84.90 (n=1)", "+0.00 (n=1)"),
        ("12", "84.40 (n=1)", "-0.50 (n=1)"),
    ]
    assert "| **8 (reference)** |" in markdown.accuracy(comparison)
    assert r"\textbf{8 (reference)}" in latex.table(cells)


def test_a_full_model_without_each_of_its_parts(nets, stored_design):
    """Touvron et al. 2021, arXiv 2012.12877, Table 8, at 224 pixels: what the ablation is on."""
    published = {
        "mixup": 78.7,
        "cutmix": 80.0,
        "repeated_augmentation": 76.5,
        "erasing": 4.3,
        "stochastic_depth": 3.4,
        "dropout": 81.3,
        "moving_average": 81.9,
    }
    named = {
        f"parts.{name}": [False, True] if name in ("dropout", "moving_average") else [True, False]
        for name in published
    }

    def accuracy(levels, seed):
        changed = [key for key, level in levels.items() if level != named[key][0]]
        if not changed:
            return _around(81.8, 0.2, seed)
        return published[changed[0].removeprefix("parts.")] / 100

    study = stored_design("leave_one_out", named, accuracy, "arch=nets.py:deit", seeds=range(3))
    _, cells = _table(study, "effect")
    assert cells.header[:8] == ["arm", *published]
    names = [row[0] for row in cells.rows]
    assert names == [
        "reference",
        "without stochastic_depth",
        "without erasing",
        "without repeated_augmentation",
        "without mixup",
        "without cutmix",
        "with dropout",
        "with moving_average",
    ]
    assert cells.rows[0][1:9] == [*"✓✓✓✓✓––", "81.80 ± 0.20 (n=3)"]
    assert cells.rows[4][1:9] == [*"–✓✓✓✓––", "78.70 ± 0.00 (n=3)"]
    # 3.1 points at an sd of 0.2: seven questions leave that clear.
    assert cells.rows[4][9].startswith("-3.10 [") and cells.rows[4][10] == "hurts"
    assert cells.rows[7][9].startswith("+0.10 [-") and cells.rows[7][10] == "open"
    assert r"\textbf{$\surd$}" in latex.table(cells)


CONVNEXT = [
    # The step, its accuracy with sd of three seeds, GFLOPs.
    ("reference", 76.13, 0.0, 4.09),
    ("recipe: enhanced", 78.82, 0.07, 4.09),
    ("with stage_ratio", 79.36, 0.07, 4.53),
    ("with patchify", 79.51, 0.18, 4.42),
    ("with depthwise", 78.28, 0.08, 2.35),
    ("with wider", 80.50, 0.02, 5.27),
    ("with inverted", 80.64, 0.03, 4.64),
    ("with moved_up", 79.92, 0.08, 4.07),
    ("kernel: 5", 80.35, 0.08, 4.10),
    ("kernel: 7", 80.57, 0.14, 4.15),
    ("kernel: 9 (not kept)", 80.57, 0.06, 4.21),
    ("kernel: 11 (not kept)", 80.47, 0.11, 4.29),
    ("with gelu", 80.62, 0.14, 4.15),
    ("with fewer_activations", 81.27, 0.06, 4.15),
    ("with fewer_norms", 81.41, 0.09, 4.15),
    ("with layer_norm", 81.47, 0.09, 4.46),
    ("with separate_downsampling", 81.97, 0.06, 4.49),
]


@pytest.fixture
def convnext(nets, stored_design, stored_run):
    """Liu et al. 2022, arXiv 2201.03545, Table 10, with Swin-T beside it."""
    switches = [name.split()[-1] for name, *_ in CONVNEXT if name.startswith("with ")]
    before, after = switches[: switches.index("gelu")], switches[switches.index("gelu") :]
    named = {"parts.recipe": ["baseline", "enhanced"]}
    named |= {f"parts.{name}": [False, True] for name in before}
    named |= {"parts.kernel": [3, 5, 7, 9, 11]}
    named |= {f"parts.{name}": [False, True] for name in after}
    by_levels = {}

    def of(levels):
        place = by_levels.setdefault(tuple(levels.items()), len(by_levels))
        return CONVNEXT[place]

    study = stored_design(
        "cumulative",
        named,
        lambda levels, seed: _around(*of(levels)[1:3], seed),
        "arch=nets.py:convnext",
        seeds=range(3),
        rejected=("parts.kernel=9", "parts.kernel=11"),
        result=lambda levels, seed: {"multiply_adds": round(1e9 * of(levels)[3])},
    )
    for seed in range(3):
        stored_run(
            *("arch=nets.py:swin", f"seed={seed}"), val_accuracy=0.813, multiply_adds=4_500_000_000
        )
    asked.add(study, [], current_sources(study))
    return study


def test_a_roadmap_with_what_was_not_kept_and_its_target(convnext):
    comparison, cells = _table(convnext)
    assert [row[0] for row in cells.rows] == [name for name, *_ in CONVNEXT] + ["nets.py:swin"]
    rows = {row[0]: dict(zip(cells.header, row, strict=True)) for row in cells.rows}
    assert rows["with depthwise"]["difference"].startswith("-1.23 [")
    assert rows["with depthwise"]["verdict"] == "hurts"
    # Both are held against the last step kept, and so is the one after them.
    assert rows["kernel: 9 (not kept)"]["difference"].startswith("+0.00 [")
    assert rows["kernel: 11 (not kept)"]["difference"].startswith("-0.10 [")
    assert rows["with gelu"]["difference"].startswith("+0.05 (n=3, no spread)")
    assert rows["with separate_downsampling"]["total"] == "+5.84"
    assert rows["with wider"]["multiply-adds"] == "5,270,000,000"
    assert rows["nets.py:swin"]["validation accuracy"] == "81.30 ± 0.00 (n=3)"
    assert rows["nets.py:swin"]["difference"] == ""
    assert not any("swin" in question.kind for question in comparison.asked)
    assert len(comparison.asked) == 16 + 1


def test_the_list_of_runs_has_each_score_in_its_own_unit():
    ended = {"state": "complete", "reason": "", "seconds": 9.0}
    labels = {"run": "a", "target": "labels", "val_mean_average_precision": 0.5991}
    classes = {"run": "b", "target": "classes", "val_accuracy": 0.25, "val_loss": 1.5}
    values = {"run": "c", "target": "value", "val_mae": 0.25}
    cells = runs_cells(pd.DataFrame([one | ended for one in (labels, classes, values)]))
    labels, classes, values = (dict(zip(cells.header, row, strict=True)) for row in cells.rows)
    assert labels["val mean average precision"] == "59.91"
    assert (classes["val accuracy"], classes["val loss"]) == ("25.00", "1.5000")
    assert values["val mae"] == "0.2500"
