"""Fewer points than were measured, without hiding what sticks out."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from chaos.result import Sample

BINS = 360
"""Most points of a line: about one for two pixels."""
DOTS = 150
"""Most dots of one row."""


class Bin(NamedTuple):
    """Some seconds: means per second, the lowest and highest second of `ended`, the largest backlog."""

    at: float
    accepted: float
    started: float
    ended: float
    ended_low: int
    ended_high: int
    backlog: int


class Bins(NamedTuple):
    """The bins, and how many seconds each has."""

    seconds: int
    bins: list[Bin]


def binned(samples: Sequence[Sample], most: int = BINS) -> Bins:
    """Samples of one second each, gathered so that there are at most so many bins."""
    width = max(1, math.ceil(len(samples) / most))
    chunks = (samples[start : start + width] for start in range(0, len(samples), width))
    return Bins(width, [_bin(chunk) for chunk in chunks])


def _bin(chunk: Sequence[Sample]) -> Bin:
    ended = [sample.ended for sample in chunk]
    return Bin(
        (chunk[0].at + chunk[-1].at) / 2,
        sum(sample.accepted for sample in chunk) / len(chunk),
        sum(sample.started for sample in chunk) / len(chunk),
        sum(ended) / len(chunk),
        min(ended),
        max(ended),
        max(sample.backlog for sample in chunk),
    )


def sampled(values: Sequence[float], most: int = DOTS) -> list[float]:
    """Evenly chosen from the sorted values; the smallest and the largest ones always stay."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    top = ordered[-most // 5 :]
    rest = ordered[: len(ordered) - len(top)]
    step = (len(rest) - 1) / (most - len(top) - 1)
    return [rest[round(index * step)] for index in range(most - len(top))] + top
