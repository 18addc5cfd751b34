"""How often a run is saved: after each epoch and within long ones, for a share of its time."""

import time

SHARE = 0.05
"""Of the time of a run, what checkpoints may take, the first one aside."""

WITHIN_SECONDS = 60.0
"""An epoch that takes longer is saved within too."""


class Spacing:
    """Says when a state is saved.

    The next one is due once so much time has gone by since the last was begun that what that one
    took is the share. So at most 1 / share times what a checkpoint takes is lost with a run, or
    `WITHIN_SECONDS` where that is longer. How often a state is saved changes no result.

    Args:
        share: of the time, above 0; infinite for every epoch; None for `SHARE`.
    """

    def __init__(self, share: float | None = None):
        self._share = SHARE if share is None else share
        self._made = time.monotonic()
        self._begun: float | None = None
        self._took = 0.0

    def due(self) -> bool:
        """Returns whether a state is to be saved after an epoch; the first always is."""
        if self._begun is None:
            return True
        return time.monotonic() - self._begun >= self._took / self._share

    def due_within(self) -> bool:
        """Returns whether a state is to be saved within an epoch."""
        begun = self._made if self._begun is None else self._begun
        return time.monotonic() - begun >= max(WITHIN_SECONDS, self._took / self._share)

    def begins(self) -> None:
        """Tells that a state begins to be saved."""
        self._begun = time.monotonic()

    def ends(self, seconds: float) -> None:
        """Tells how long that took, the writing beside the training too."""
        self._took = seconds
