"""Refusing submissions to a queue in which too many tasks wait."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from scheduler.api import failures
from scheduler.domain.task import TaskSpec
from scheduler.storage.queues import Backlog, StoredQueues
from scheduler.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

DEFAULT_LIMIT = 1_000_000
_PERIOD_SECONDS = 1.0
_RETRY_SECONDS = 2.0
# Counting a large backlog takes a while; at most a twentieth of the time goes into it.
_REST_PER_COUNT = 20


@dataclass(slots=True)
class _Room:
    waiting: int
    limit: int
    since_count: int = 0


class Admission:
    """Knows each queue's backlog from the last count, plus what was accepted here since.

    With several schedulers a limit can be passed by what the others accept between two counts.
    """

    def __init__(
        self, queues: StoredQueues, limit: int = DEFAULT_LIMIT, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queues = queues
        self._limit = limit
        self._clock = clock
        self._rooms: dict[tuple[str, str], _Room] = {}
        self._new: set[tuple[str, str]] = set()

    def refusal(self, spec: TaskSpec) -> failures.Failure | None:
        """Why the submission cannot be taken now; None if it can, and then it counts."""
        slot = (spec.namespace, spec.queue)
        room = self._rooms.get(slot)
        if room is None:
            room = self._rooms[slot] = _Room(0, self._limit)
            self._new.add(slot)
        if room.waiting >= room.limit:
            return failures.backlog_full(spec.namespace, spec.queue, room.limit, _RETRY_SECONDS)
        room.waiting += 1
        room.since_count += 1
        return None

    async def refresh(self) -> None:
        """Count again, and note queues that were used for the first time; raises StoreUnavailable."""
        if self._new:
            new = set(self._new)
            await self._queues.register(new)
            self._new -= new
        for room in self._rooms.values():
            room.since_count = 0
        backlogs = {(backlog.namespace, backlog.queue): backlog for backlog in await self._queues.backlogs()}
        # What was accepted while the count ran may or may not be in it.
        uncounted = {slot: room for slot, room in self._rooms.items() if slot in self._new}
        self._rooms = uncounted | {slot: self._counted(slot, backlog) for slot, backlog in backlogs.items()}

    async def run(self) -> None:
        """Refresh each second, until cancelled; less often where counting takes long."""
        while True:
            started = self._clock()
            try:
                await self.refresh()
            except StoreUnavailable as error:
                _log.warning("backlogs were not counted: %s", error)
            await asyncio.sleep(max(_PERIOD_SECONDS, _REST_PER_COUNT * (self._clock() - started)))

    def _counted(self, slot: tuple[str, str], backlog: Backlog) -> _Room:
        room = self._rooms.get(slot)
        since = room.since_count if room else 0
        return _Room(backlog.waiting + since, backlog.limit or self._limit, since)
