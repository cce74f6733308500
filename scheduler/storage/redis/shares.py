"""How one budget is divided among queues."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

AnyItem = TypeVar("AnyItem")


def grouped(items: Iterable[AnyItem], label: Callable[[AnyItem], str]) -> list[list[AnyItem]]:
    """The items of each label together, in order."""
    groups: dict[str, list[AnyItem]] = {}
    for item in items:
        groups.setdefault(label(item), []).append(item)
    return list(groups.values())


def rotated(items: Sequence[AnyItem], turn: int) -> list[AnyItem]:
    """The items, beginning with another one each turn."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]


def split(budget: int, wishes: Sequence[int]) -> list[int]:
    """What each gets of the budget: its wish, while there is some left. One alone gets everything."""
    if len(wishes) == 1:
        return [budget]
    shares = []
    for wish in wishes:
        shares.append(max(0, min(wish, budget)))
        budget -= shares[-1]
    return shares
