"""stub, replaced by the registry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    higher_is_better: bool = True
    title: str = "validation accuracy"

    def signed(self, x):
        return f"{100 * x:+.2f}"

    def difference(self, x):
        return f"{100 * x:+.2f} points"

    def size(self, x):
        return f"{100 * abs(x):.1f} points"

    def value(self, x):
        return f"{100 * x:.2f} %"


ACCURACY = Metric()
