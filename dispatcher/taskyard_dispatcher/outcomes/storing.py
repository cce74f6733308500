"""Storing endings of attempts: together, in batches that the store can take in its time."""

import logging
from collections.abc import Callable, Sequence

from taskyard_core.domain import limits
from taskyard_core.domain.transitions import Transition
from taskyard_core.runtime import failpoints
from taskyard_core.runtime.batcher import Batcher
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.changes import Applied, Changes
from taskyard_core.storage.unavailable import StoreUnavailable, TooLong
from taskyard_dispatcher.timing import OutcomeTiming

_log = logging.getLogger(__name__)

BATCH_SIZE = 1000
BATCH_BYTES = 4 * 1024 * 1024
_OVERHEAD = 512
"""About what an ending without result or error costs."""

Stored = bool | Exception
"""Whether the ending came to pass; or why nobody knows, although it was tried alone."""


class Storing:
    """Applies endings; `committed` hears of each batch, with what became of it and the seconds it took.

    What the store does not take in its time, or refuses, is tried in halves, down to one ending: whatever is wrong with
    that one takes nobody with it. The next batches are no larger than what passed last, and twice that if they pass.
    """

    def __init__(
        self,
        changes: Changes,
        clock: Clock,
        committed: Callable[[Applied, float], None],
        timing: OutcomeTiming = OutcomeTiming(),
    ) -> None:
        self._changes = changes
        self._clock = clock
        self._committed = committed
        self._pause = timing.retry_pause
        self._most = BATCH_BYTES
        self._batcher = Batcher(self._apply, size=BATCH_SIZE, parallel=2, weigh=weight, weight=BATCH_BYTES)
        # With a large one go those that came with it.
        self._large = Batcher(self._apply, size=BATCH_SIZE, weigh=weight, weight=BATCH_BYTES)
        # What did not pass alone waits for its like only.
        self._hard = Batcher(self._apply, size=1)

    async def store(self, transitions: Sequence[Transition], *, hard: bool = False) -> Sequence[Stored]:
        """What became of each; tries until the store has answered. `hard` ones keep out of the others' batches."""
        batcher = self._hard if hard else self._large if any(map(_is_large, transitions)) else self._batcher
        while True:
            try:
                return await batcher.add(transitions)
            except StoreUnavailable as error:
                _log.warning("%d outcomes wait: %s", len(transitions), error)
                await self._clock.sleep(self._pause)

    async def _apply(self, transitions: Sequence[Transition]) -> Sequence[Stored]:
        await failpoints.reach("result-received")
        stored: list[Stored] = []
        while len(stored) < len(transitions):
            stored += await self._apply_some(_up_to(self._most, transitions[len(stored) :]))
        return stored

    async def _apply_some(self, transitions: Sequence[Transition]) -> Sequence[Stored]:
        """What became of the first of them: of all, or none where half is to be tried."""
        began = self._clock.monotonic()
        try:
            applied = await self._changes.apply(transitions)
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not isinstance(error, TooLong):
                raise
            if len(transitions) == 1:
                return [error]
            _log.warning("%d outcomes are not stored together: %s", len(transitions), error)
            self._most = sum(map(weight, transitions)) // 2
            return []
        await failpoints.reach("outcome-committed")
        self._most = min(BATCH_BYTES, max(self._most, 2 * sum(map(weight, transitions))))
        self._committed(applied, self._clock.monotonic() - began)
        return [change is not None for change in applied.changes]


def weight(transition: Transition) -> int:
    """About the bytes that it takes to store it."""
    _, _, _, _, _, result, error, _, _ = transition
    return _OVERHEAD + len(result or b"") + (len(error.message) + len(error.stack) if error else 0)


def _is_large(transition: Transition) -> bool:
    return len(transition.result or b"") > limits.LARGE_BYTES


def _up_to(most: int, transitions: Sequence[Transition]) -> Sequence[Transition]:
    """The first of the endings, as far as they weigh no more than that; at least one."""
    total = 0
    for place, transition in enumerate(transitions):
        total += weight(transition)
        if total > most and place:
            return transitions[:place]
    return transitions
