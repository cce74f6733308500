"""How many tasks to read from which lane: every priority makes progress, higher ones more of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import NamedTuple

from taskyard_core.domain.lanes import Lane
from taskyard_core.storage.lanes import Quota

WEIGHT_RATIO = 1.5
"""Each priority gets this many times the share of the one below it: 10 gets 58 times as much as 0."""


class ReadPlan(NamedTuple):
    """Quotas that add up to the budget, highest priority first, and the credits for the next plan."""

    quotas: list[Quota]
    credits: dict[int, float]


def plan_reads(lanes: Sequence[Lane], budget: int, credits: Mapping[int, float], turn: int) -> ReadPlan:
    """Divide `budget` tasks over the lanes by weighted deficits.

    Each round every waiting priority earns its share of the budget as credit and spends one credit a task, so that a
    share below one task still comes up after some rounds. Lanes of one priority take turns; `turn` says whose.
    """
    by_priority: dict[int, list[Lane]] = defaultdict(list)
    for lane in sorted(lanes):
        by_priority[lane.priority].append(lane)
    earned = _earn(list(by_priority), budget, credits)
    shares = _spend(earned, budget)
    quotas = [
        quota
        for priority in sorted(by_priority, reverse=True)
        for quota in _divide(by_priority[priority], shares[priority], turn)
    ]
    return ReadPlan(quotas, {priority: earned[priority] - shares[priority] for priority in shares})


def _earn(priorities: Sequence[int], budget: int, credits: Mapping[int, float]) -> dict[int, float]:
    total = sum(WEIGHT_RATIO**priority for priority in priorities)
    return {p: credits.get(p, 0.0) + budget * WEIGHT_RATIO**p / total for p in priorities}


def _spend(earned: Mapping[int, float], budget: int) -> dict[int, int]:
    shares = {priority: max(0, int(credit)) for priority, credit in earned.items()}
    by_remainder = sorted(earned, key=lambda p: (earned[p] - shares[p], p), reverse=True)
    for priority in islice(cycle(by_remainder), max(0, budget - sum(shares.values()))):
        shares[priority] += 1
    surplus = sum(shares.values()) - budget
    for priority in sorted(shares):
        given_up = min(surplus, shares[priority])
        shares[priority] -= given_up
        surplus -= given_up
    return shares


def _divide(lanes: Sequence[Lane], share: int, turn: int) -> list[Quota]:
    first = turn % len(lanes)
    rotated = [*lanes[first:], *lanes[:first]]
    each, extra = divmod(share, len(lanes))
    return [Quota(lane.name, each + (index < extra)) for index, lane in enumerate(rotated)]
