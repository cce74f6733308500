"""Checks of recorded histories: one module per invariant, none of which knows the server.

`verdict(history)` runs all of them. A check's module has one function `check(history)` that yields violations.
Schedules (one task per schedule and tick) get a module with the feature itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chaos.checks import (
    attempts,
    budgets,
    cancels,
    capacity,
    fencing,
    idempotency,
    loss,
    outcomes,
    overlap,
    phantoms,
    placement,
    reads,
    recovery,
    rest,
    terms,
    times,
    vouched,
)
from chaos.checks.violation import Check, Violation
from chaos.history.record import History
from chaos.history.stories import stories

__all__ = ["Check", "Verdict", "Violation", "all_checks", "verdict"]

_CHECKS: Mapping[str, Check] = {
    module.NAME: module.check
    for module in (
        loss,
        phantoms,
        idempotency,
        attempts,
        outcomes,
        fencing,
        overlap,
        capacity,
        placement,
        times,
        budgets,
        terms,
        cancels,
        reads,
        recovery,
        vouched,
        rest,
    )
}

_STORIES = 50
"""Violations whose story is told; one cause tends to break a thousand tasks in the same way."""


class Verdict(NamedTuple):
    """What all checks found, and how many violations there are of each invariant."""

    violations: tuple[Violation, ...]
    counts: Mapping[str, int]

    @property
    def good(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations


def all_checks() -> Mapping[str, Check]:
    """The checks by their invariants' names, in the order of the invariants."""
    return _CHECKS


def verdict(history: History, checks: Mapping[str, Check] = _CHECKS) -> Verdict:
    """Runs the checks (default: all) and tells the stories of the first violations."""
    found = [violation for check in checks.values() for violation in check(history)]
    told = _with_stories(history, found[:_STORIES])
    return Verdict((*told, *found[_STORIES:]), Counter(violation.invariant for violation in found))


def _with_stories(history: History, violations: Sequence[Violation]) -> list[Violation]:
    if not violations:
        return []
    told = stories(history, {violation.task for violation in violations if violation.task})
    return [violation._replace(story=told.get(violation.task or "", ())) for violation in violations]
