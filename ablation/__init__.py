"""Fair ablation studies of network parts.

    import ablation
    study = ablation.load("runs/main")
    study.runs, study.history            # data frames: one row a run, one a run and epoch
    study.table(), study.effects()       # the report's tables
    study.audit()                        # equal budget, confounds, holes

Everything else is the command line: `python -m ablation --help`.
"""

from typing import Any

__all__ = ["Study", "load"]


def __getattr__(name: str) -> Any:
    # On demand, because the command line must answer before pandas is loaded.
    if name in __all__:
        from ablation import study

        return getattr(study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
