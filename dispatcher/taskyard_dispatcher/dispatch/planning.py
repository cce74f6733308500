"""How many tasks to read from which lane: every priority makes progress, higher ones more of it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from taskyard_core.domain.lanes import Lane
from taskyard_core.storage.claims import Head
from taskyard_core.storage.lanes import Quota

WEIGHT_RATIO = 1.5
"""Each priority gets this many times the share of the one below it: 10 gets 58 times as much as 0."""


class ReadPlan(NamedTuple):
    """Quotas that add up to the budget, highest priority first, and the credits for the next plan."""

    quotas: list[Quota]
    credits: dict[int, float]


class Credits:
    """What the priorities of one set of lanes are owed, from read to read; at first what those of another set are."""

    def __init__(self, others: "Credits | None" = None) -> None:
        self._owed: dict[int, float] = dict(others._owed) if others else {}

    def plan(self, lanes: Sequence[Lane], budget: int) -> list[Quota]:
        """Quotas of the next read; see `plan_reads`."""
        quotas, self._owed = plan_reads(lanes, budget, self._owed)
        return quotas


def plan_reads(lanes: Sequence[Lane], budget: int, credits: Mapping[int, float]) -> ReadPlan:
    """Divide `budget` tasks over the lanes by weighted deficits.

    Each round every waiting priority earns its share of the budget as credit and spends one credit a task, so that a
    share below one task still comes up after some rounds. Lanes of one priority take turns in the order in which they
    are given: the first get one task more where their share cannot be divided, and come last among the quotas.
    """
    by_priority: dict[int, list[Lane]] = defaultdict(list)
    for lane in lanes:
        by_priority[lane.priority].append(lane)
    earned = _earn(list(by_priority), budget, credits)
    shares = _spend(earned, budget)
    quotas = [
        quota
        for priority in sorted(by_priority, reverse=True)
        for quota in _divide(by_priority[priority], shares[priority])
    ]
    return ReadPlan(quotas, {priority: earned[priority] - shares[priority] for priority in shares})


def within(heads: Iterable[Head], quotas: Iterable[Quota], budget: int) -> list[Head]:
    """Of each lane as many as its quota says; what is left of the budget goes to lanes that have more, in order."""
    left = {quota.lane: quota.count for quota in quotas}
    due: list[Head] = []
    more: list[Head] = []
    for head in heads:
        (due if left[head.lane] > 0 else more).append(head)
        left[head.lane] -= 1
    return [*due, *more[: budget - len(due)]]


def _weight(priority: int) -> float:
    return WEIGHT_RATIO**priority


def _earn(priorities: Sequence[int], budget: int, credits: Mapping[int, float]) -> dict[int, float]:
    """What each may spend, the budget in all: what others left behind that wait no more is shared out as well."""
    held = {priority: credits.get(priority, 0.0) for priority in priorities}
    each = (budget - sum(held.values())) / sum(map(_weight, priorities))
    return {priority: credit + each * _weight(priority) for priority, credit in held.items()}


def _spend(earned: Mapping[int, float], budget: int) -> dict[int, int]:
    """Every credit rounded up, but for those that can wait longest until they are whole: earliest deadline first.

    So none comes to owe, or to be owed, a whole task while the same priorities wait.
    """
    shares = {priority: max(0, math.ceil(credit)) for priority, credit in earned.items()}
    for _ in range(sum(shares.values()) - budget):
        given = [priority for priority in shares if shares[priority]]
        last = max(given, key=lambda priority: ((shares[priority] - earned[priority]) / _weight(priority), -priority))
        shares[last] -= 1
    return shares


def _divide(lanes: Sequence[Lane], share: int) -> list[Quota]:
    each, extra = divmod(share, len(lanes))
    more = [Quota(lane.name, each + 1) for lane in lanes[:extra]]
    return [*(Quota(lane.name, each) for lane in lanes[extra:]), *more]
