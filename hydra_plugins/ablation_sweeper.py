"""Hydra finds sweepers in this namespace only. What this one does is in `ablation.running`."""

from collections.abc import Sequence
from typing import Any

# Private, so that pyproject.toml allows Hydra 1.3 only.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class DesignSweeper(BasicSweeper):
    """Launches the runs of a design: all arms of one seed, then those of the next.

    Args:
        max_batch_size: how many jobs the launcher is given at a time, None for all.
        params: what an experiment sweeps.
        until: see `ablation.running.jobs.Expansion`, which reads it.
    """

    def __init__(
        self,
        max_batch_size: int | None,
        params: dict[str, str] | None = None,
        until: int = 0,
    ) -> None:
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: Sequence[str]) -> Any:
        """Plans, trains and reports a sweep."""
        # Imported here, because every program that uses Hydra imports its plugins.
        from ablation.running.launching import sweep

        assert self.config is not None and self.launcher is not None
        return sweep(self.config, self.launcher, self.max_batch_size)
