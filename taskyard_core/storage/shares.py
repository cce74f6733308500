"""How one budget is divided among queues."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

from taskyard_core.storage.lanes import Entry, Quota, tag

AnyItem = TypeVar("AnyItem")

Read = Callable[[Sequence[list[Quota]], Sequence[int]], Awaitable[list[list[Entry]]]]
"""Takes from each queue's lanes up to a budget of its own: quotas first, then from whichever lane has more."""


class Takes:
    """Divides the budget of each take; queues take turns at being first."""

    def __init__(self) -> None:
        self._turn = 0

    async def take(self, plan: Sequence[Quota], budget: int, read: Read) -> list[Entry]:
        """Up to `budget` entries; see LaneStore.take."""
        if budget <= 0 or not plan:
            return []
        queues = rotated(grouped(plan, lambda quota: tag(quota.lane)), self._turn)
        self._turn += 1
        shares = split(budget, [sum(quota.count for quota in queue) for queue in queues])
        answers = await read(queues, shares)
        taken = list(chain.from_iterable(answers))
        for queue, share, answer in zip(queues, shares, answers, strict=True):
            left = budget - len(taken)
            # A queue that gave less than it was asked for is empty.
            if left and len(answer) == share:
                taken += (await read([queue], [left]))[0]
        return taken


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
