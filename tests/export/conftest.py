import os
import shutil

import pytest

from ablation.analysis.reading import load
from ablation.export.exported import exported
from ablation.records import store
from stored_exports import rows, run_in, write_history

# Before a tracker's library is imported: its use is nobody's business.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["WANDB_ERROR_REPORTING"] = "false"


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """Where the first test that needs the study leaves it for the others."""
    return tmp_path_factory.mktemp("original") / "main"


@pytest.fixture
def folder(original, request, tmp_path):
    """The folder of a study: complete runs of two arms, and one of each way to end otherwise."""
    if original.exists():
        shutil.copytree(original, tmp_path / "main")
    else:
        _make(request.getfixturevalue("stored_run"), tmp_path / "main")
        shutil.copytree(tmp_path / "main", original)
    return tmp_path / "main"


def _make(stored_run, folder):
    for seed in (0, 1):
        for plain in ("true", "false"):
            words = ("arch=20", f"plain={plain}", f"seed={seed}")
            write_history(stored_run(*words, val_accuracy=0.1 + seed / 3), rows(5, seed))
    ends = {
        store.DIVERGED: "the loss is no number",
        store.INTERRUPTED: "stopped before its last epoch",
        store.FAILED: "no memory",
    }
    for seed, (state, reason) in enumerate(ends.items(), 2):
        directory = stored_run("arch=20", f"seed={seed}", state=state, reason=reason)
        write_history(directory, rows(3, seed))
    columns = store.HISTORY_COLUMNS[1:]
    write_history(
        run_in(folder, store.DIVERGED),
        [
            *rows(1),
            {"epoch": 2, **dict.fromkeys(columns, 1e308), "loss": "inf"},
            {"epoch": 3, **dict.fromkeys(columns, "nan"), "seconds": 1.5},
        ],
    )
    (run_in(folder, store.FAILED) / "history.csv").unlink()


@pytest.fixture
def read(folder):
    """Reads the study as it is now."""
    return lambda: exported(load(folder))
