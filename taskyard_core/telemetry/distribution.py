"""Pre-bucketed measurements: what a histogram exports, counted without the cost of a call per measurement."""

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
)  # fmt: skip
"""Bounds for times, 1 ms to 1 h."""

SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Bounds for numbers of tasks in a batch."""


class Distribution:
    """Counts per bucket and the sum of all values.

    `counts` has one more entry than `bounds`: what is above the last one. A value equal to a bound belongs to the
    bucket that the bound closes. Hot loops add to `counts` and `sum` themselves.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value. Less than zero counts as zero: clocks of two machines may disagree."""
        value = max(value, 0.0)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
