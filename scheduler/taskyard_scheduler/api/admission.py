"""Refusing submissions to a queue in which too many tasks wait, or to one lane too many."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from taskyard_core.domain import lanes, limits
from taskyard_core.domain.task import TaskSpec
from taskyard_core.runtime.clock import Clock, SystemClock
from taskyard_core.runtime.pace import COUNTING, rest
from taskyard_core.storage.queues import StoredQueues
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.lane_room import LaneRoom
from taskyard_scheduler.api.recent import Recent

_log = logging.getLogger(__name__)

DEFAULT_LIMIT = 1_000_000
COUNTED_LANES = 100_000
"""Most lanes of one count, several times what may be made."""
_PERIOD_SECONDS = 1.0
_RETRY_SECONDS = 2.0
_NOTED_QUEUES = 10_000
_WORKERS = 1000


@dataclass(slots=True)
class _Room:
    waiting: int
    limit: int
    since_count: int = 0


class Admission:
    """Knows each queue's backlog and the lanes from the last count, plus what was accepted here since.

    With several schedulers a limit can be passed by what the others accept between two counts.
    """

    def __init__(
        self,
        queues: StoredQueues,
        sessions: Sessions,
        limit: int = DEFAULT_LIMIT,
        lane_room: LaneRoom | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._queues = queues
        self._sessions = sessions
        self._limit = limit
        self._lanes = lane_room or LaneRoom()
        self._clock = clock or SystemClock()
        self._rooms: dict[tuple[str, str], _Room] = {}
        self._limits: Mapping[tuple[str, str], int] = {}
        # Queues whose use was noted in the table lately, and those that wait for it.
        self._noted: Recent[tuple[str, str]] = Recent(limits.QUEUE_NOTED_SECONDS, _NOTED_QUEUES)
        self._new: dict[tuple[str, str], None] = {}

    def refusal(self, spec: TaskSpec) -> failures.Failure | None:
        """Why the submission cannot be taken now; None if it can, and then it counts."""
        slot = (spec.namespace, spec.queue)
        room = self._rooms.get(slot) or _Room(0, self._limits.get(slot) or self._limit)
        if room.waiting >= room.limit:
            return failures.backlog_full(spec.namespace, spec.queue, room.limit, _RETRY_SECONDS)
        lane = lanes.name_of(spec.namespace, spec.queue, spec.type, spec.priority, spec.selector)
        if not self._lanes.admit(lane):
            return failures.too_many_lanes(spec.namespace, self._lanes.most, _RETRY_SECONDS)
        self._rooms[slot] = room
        room.waiting += 1
        room.since_count += 1
        if slot not in self._noted and len(self._new) < _NOTED_QUEUES:
            self._new[slot] = None
        return None

    async def refresh(self) -> None:
        """Count again, and note queues that were used for the first time; raises StoreUnavailable."""
        await self._note()
        for room in self._rooms.values():
            room.since_count = 0
        self._lanes.begin_count()
        waiting = await self._queues.waiting(COUNTED_LANES)
        self._limits = await self._queues.limits()
        self._lanes.counted(waiting.keys(), self._clock.monotonic())
        if self._lanes.crowded:
            self._lanes.serving(await self._sessions.capabilities(_WORKERS))
        totals: Counter[tuple[str, str]] = Counter()
        for lane, tasks in waiting.items():
            totals[lanes.place(lane)] += tasks
        # What was accepted while the count ran may or may not be in it.
        since = {slot: room.since_count for slot, room in self._rooms.items() if room.since_count}
        self._rooms = {
            slot: _Room(totals[slot] + since.get(slot, 0), self._limits.get(slot) or self._limit, since.get(slot, 0))
            for slot in {*totals, *since}
        }

    async def run(self) -> None:
        """Refresh each second, until cancelled; less often where counting takes long."""
        while True:
            started = self._clock.monotonic()
            try:
                await self.refresh()
            except StoreUnavailable as error:
                _log.warning("backlogs were not counted: %s", error)
            await self._clock.sleep(rest(self._clock.monotonic() - started, COUNTING, least=_PERIOD_SECONDS))

    async def _note(self) -> None:
        self._noted.pass_on(self._clock.monotonic())
        new = list(self._new)
        if new:
            await self._queues.register(new)
            for slot in new:
                self._noted.add(slot)
                del self._new[slot]
