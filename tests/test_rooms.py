"""Which room may know which: analysis and reports know no network and no framework."""

import ast
import re
from pathlib import Path

import pytest

import ablation

ROOT = Path(ablation.__file__).parent
FORBIDDEN = ("ablation.networks", "ablation.training", "ablation.data.sources")
FORBIDDEN += ("keras", "tensorflow", "jax", "torch")


def _files(*rooms):
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def _imports(path):
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize(
    "path", _files("analysis", "export", "records", "report"), ids=lambda p: p.stem
)
def test_what_is_on_record_is_read_without_networks_training_or_sources(path):
    assert not [name for name in _imports(path) if name.startswith(FORBIDDEN)]


@pytest.mark.parametrize("path", _files("export"), ids=lambda p: p.stem)
def test_an_export_knows_what_is_stored_and_its_own_tracker_alone(path):
    rooms = ("ablation.report", "ablation.running", "ablation.designs", "ablation.backends")
    trackers = tuple({"tensorboard", "mlflow", "wandb"} - {path.stem})
    assert not [name for name in _imports(path) if name.startswith((*rooms, *trackers))]


@pytest.mark.parametrize(
    ("path", "rooms"),
    [
        (path, rooms)
        for room, rooms in {
            # What is on record knows nobody it is exported to, nor who makes or reads it.
            "analysis": ("export",),
            "report": ("export",),
            "records": ("export", "running", "analysis", "report"),
            # What is trained knows nothing of training, and of nothing that comes after it.
            "recipes": ("training", "running", "analysis", "report"),
            "networks": ("training", "report", "analysis", "data"),
        }.items()
        for path in _files(room)
    ],
    ids=lambda given: given.stem if isinstance(given, Path) else "",
)
def test_a_room_does_not_know_who_uses_it(path, rooms):
    forbidden = tuple(f"ablation.{room}" for room in rooms)
    assert not [name for name in _imports(path) if name.startswith(forbidden)]


@pytest.mark.parametrize("path", _files("designs"), ids=lambda p: p.stem)
def test_a_design_knows_factors_and_no_result(path):
    allowed = ("ablation.designs", "ablation.factors", "ablation.config.UserError")
    inside = [name for name in _imports(path) if name.startswith("ablation")]
    assert not [name for name in inside if not name.startswith(allowed)]


@pytest.mark.parametrize(
    "path",
    [*_files("analysis", "designs", "export", "records", "report"), ROOT / "factors.py"],
    ids=lambda p: p.stem,
)
@pytest.mark.parametrize("word", ["plain", "preact", "stride_on", "shortcut", "baseline"])
def test_the_core_has_no_word_for_what_is_ablated(path, word):
    assert not re.search(rf"\b{word}\b", path.read_text())
