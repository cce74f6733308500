"""What was measured, and the table that shows it: pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEAD = ("", "unit", "min", "median", "max")


@dataclass(frozen=True)
class Figure:
    """One quantity over the repetitions."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "min": min(self.values), "median": self.median, "max": max(self.values)}

    def row(self) -> tuple[str, ...]:
        """For the table."""
        return (self.name, self.unit, *map(_text, (min(self.values), self.median, max(self.values))))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed. Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def combine(repetitions: Iterable[Sequence[Figure]]) -> list[Figure]:
    """One figure for all of the same name, in the order in which they first come."""
    values: dict[tuple[str, str], tuple[float, ...]] = {}
    for figures in repetitions:
        for figure in figures:
            key = (figure.name, figure.unit)
            values[key] = values.get(key, ()) + figure.values
    return [Figure(name, unit, found) for (name, unit), found in values.items()]


def table(figures: Iterable[Figure]) -> str:
    """The figures in columns."""
    rows = [HEAD, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    words = [word.ljust(width) if column < 2 else word.rjust(width) for column, (word, width) in _cells(row, widths)]
    return "  ".join(words).rstrip()


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterable[tuple[int, tuple[str, int]]]:
    return enumerate(zip(row, widths, strict=True))


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
