"""The histograms in Prometheus' text format.

prometheus_client needs a second for the 46,000 lines of 1,000 kinds of tasks; with all but the numbers written once,
it is some ten milliseconds.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from taskyard_core.telemetry.distribution import Distribution
from taskyard_core.telemetry.histograms import Family

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class HistogramText:
    """Writes families; remembers the part of each line that never changes."""

    def __init__(self, histograms: list[Family]) -> None:
        self._histograms = histograms
        self._lines: dict[Distribution, list[str]] = {}

    def render(self) -> str:
        """All families that have a series."""
        return "".join(self._family(family) for family in self._histograms)

    def _family(self, family: Family) -> str:
        name = family.name.replace(".", "_") + ("_seconds" if family.unit == "s" else "")
        lines = [line for labels, distribution in family.series() for line in self._series(name, labels, distribution)]
        if not lines:
            return ""
        return f"# HELP {name} {family.description}\n# TYPE {name} histogram\n" + "".join(lines)

    def _series(self, name: str, labels: Mapping[str, str], distribution: Distribution) -> Iterator[str]:
        beginnings = self._lines.get(distribution)
        if beginnings is None:
            beginnings = self._lines[distribution] = _beginnings(name, labels, distribution)
        # The event loop may add meanwhile; all lines have to be of one moment.
        totals = list(accumulate(list(distribution.counts)))
        values: list[float] = [*totals, totals[-1], distribution.sum]
        for beginning, value in zip(beginnings, values, strict=True):
            yield f"{beginning}{value}\n"


def _beginnings(name: str, labels: Mapping[str, str], distribution: Distribution) -> list[str]:
    pairs = ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels.items())
    bounds = [*(str(float(bound)) for bound in distribution.bounds), "+Inf"]
    buckets = [f'{name}_bucket{{{pairs},le="{bound}"}} ' for bound in bounds]
    return [*buckets, f"{name}_count{{{pairs}}} ", f"{name}_sum{{{pairs}}} "]
