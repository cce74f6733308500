"""Durations summed up."""

from collections.abc import Sequence

from chaos.result import Spread


def spread(durations: Sequence[float]) -> Spread | None:
    """Their percentiles (nearest rank, so each is one that was measured); None of none."""
    if not durations:
        return None
    ordered = sorted(durations)
    return Spread(len(ordered), _rank(ordered, 50), _rank(ordered, 99), ordered[-1])


def _rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
