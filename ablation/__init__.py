"""Fair ablation studies of network parts.

    import ablation
    study = ablation.load("runs/main")
    study.runs, study.control_runs       # data frames: one row a run, of arms and beside them
    study.all_runs, study.history        # both of them; one row a run and epoch
    study.table(), study.effects()       # the report's tables
    study.audit()                        # equal budget, confounds, holes
    ablation.load_model("runs/main/...") # the network of a run with keep_checkpoints

Everything else is the command line: `python -m ablation --help`.
"""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is not loaded when Python starts, see `import_path`.
    from typing import Any

_HOMES = {"Study": "notebook", "load": "notebook", "load_model": "trained"}

__all__ = ["Study", "load", "load_model"]


def __getattr__(name: str) -> "Any":
    # On demand, because the command line must answer before pandas is loaded.
    if name in _HOMES:
        return getattr(importlib.import_module(f"ablation.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
