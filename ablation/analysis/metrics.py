"""stub, replaced by the registry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    higher_is_better: bool = True

    def signed(self, x):
        return f"{100 * x:+.2f}"

    def difference(self, x):
        return f"{100 * x:+.2f} points"


ACCURACY = Metric()
