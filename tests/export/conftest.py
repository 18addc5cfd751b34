import os

import pytest

from ablation.analysis.study import load
from ablation.export.exported import exported
from ablation.records import store
from stored_exports import rows, run_in, write_history

# Before a tracker's library is imported: its use is nobody's business.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["WANDB_ERROR_REPORTING"] = "false"


@pytest.fixture
def folder(stored_run, tmp_path):
    """The folder of a study: complete runs of two arms, and one of each way to end otherwise."""
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
    write_history(
        run_in(tmp_path / "main", store.DIVERGED),
        [
            *rows(1),
            {"epoch": 2, **dict.fromkeys(store.HISTORY_COLUMNS[1:], 1e308), "loss": "inf"},
            {"epoch": 3, **dict.fromkeys(store.HISTORY_COLUMNS[1:], "nan"), "seconds": 1.5},
        ],
    )
    (run_in(tmp_path / "main", store.FAILED) / "history.csv").unlink()
    return tmp_path / "main"


@pytest.fixture
def read(folder):
    """Reads the study as it is now."""
    return lambda: exported(load(folder))
