"""What workers report, taken in no faster than it is dealt with.

Bytes are counted before the work begins. While a budget is used up, the stream is not read on: results wait at their
worker, which keeps them until they are acknowledged, and gRPC's flow control keeps it from sending more.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from taskyard_core.domain import limits
from taskyard_core.domain.task import is_task_id
from taskyard_core.domain.transitions import Released
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.budget import Budget
from taskyard_core.runtime.clock import Clock
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.gateway.credit import Credit, Manners
from taskyard_dispatcher.outcomes.completion import Completion, Report, read_result
from taskyard_dispatcher.outcomes.progress import ProgressReports
from taskyard_dispatcher.sessions.state import Session
from taskyard_dispatcher.timing import GatewayTiming

RESULT_BYTES = 32 * 1024 * 1024
"""Results of all sessions that are being stored."""
SESSION_BYTES = 8 * 1024 * 1024
"""Those of one session."""
OTHER_BYTES = 4 * 1024 * 1024
"""Results, of all sessions, for attempts that they don't hold."""
OTHERS_AT_ONCE = 200
CREDIT = 2000
CREDIT_PER_SECOND = 100.0
PROGRESS_WORTH = 0.05
"""Of a frame without results, for the progress of each attempt."""
GATHER_SECONDS = 0.002
"""From one lot of a session's reports to the next, at least: a worker that sends each result in a frame of its own must
not cost several times as much as one that gathers them. Whoever reports less often waits for nothing."""
_OVERHEAD = 512
"""About what a report costs beside the bytes of its result."""


class Flooded(Exception):
    """The worker sends more than can be of use; the message is for it."""


@dataclass(slots=True)
class _Lot:
    """Reports of some frames, which are settled together."""

    reports: list[Report] = field(default_factory=list)
    size: int = 0


class Reception:
    """Takes in what workers report. What is under way is bounded for each session, and for all of them."""

    def __init__(
        self,
        completion: Completion,
        progress: ProgressReports,
        clock: Clock,
        interval: float,
        timing: GatewayTiming = GatewayTiming(),
    ) -> None:
        self.completion = completion
        self.progress = progress
        self.clock = clock
        self.interval = interval
        self.timing = timing
        self.results = Budget(RESULT_BYTES)
        self.others = Budget(OTHER_BYTES)
        self.background = Background()
        self._turn = asyncio.Lock()

    def open(self, session: Session) -> "Inbox":
        """Where the reports of a new stream go."""
        return Inbox(self, session)

    async def close(self) -> None:
        """Wait until what was taken is stored."""
        await self.background.close()

    async def settle_others(self, session: Session, reports: Sequence[Report]) -> None:
        """Settle results for attempts that the session does not hold, a few at a time of all sessions."""
        for start in range(0, len(reports), OTHERS_AT_ONCE):
            async with self._turn:
                await self.completion.report(session, reports[start : start + OTHERS_AT_ONCE])
                await self.clock.sleep(self.timing.others_pause)


class Inbox:
    """The reports of one stream."""

    def __init__(self, reception: Reception, session: Session) -> None:
        self._reception = reception
        self._session = session
        self._clock = reception.clock
        self._budget = Budget(SESSION_BYTES)
        self._reporting: set[asyncio.Task[None]] = set()
        self._lot: _Lot | None = None
        """What is gathered until the next lot may go."""
        self._next_lot = 0.0
        self._credit = Credit(CREDIT + 2 * session.slots, CREDIT_PER_SECOND, self._clock.monotonic())

    async def take(self, frame: wire.WorkerFrame) -> None:
        """Begin to settle what a frame reports; returns when the next may be read. Raises Flooded."""
        count = len(frame.results) + len(frame.released) + len(frame.progress)
        if count > limits.FRAME_REPORTS:
            raise Flooded(
                f"{count} results, releases and progress reports in a frame: more than {limits.FRAME_REPORTS}"
            )
        session, reception = self._session, self._reception
        if frame.progress:
            reception.progress.add(session, frame.progress)
        held: list[wire.TaskResult] = []
        others: list[wire.TaskResult] = []
        for result in frame.results:
            (held if session.ends(result.task_id, result.attempt) else others).append(result)
        released = [ref for ref in frame.released if session.ends(ref.task_id, ref.attempt)]
        of_others = _size(others)
        if held or released:
            size = frame.ByteSize() + _OVERHEAD * (len(held) + len(released)) - of_others
            await self._reserve(size, reception.results)
            self._gather([*map(read_result, held), *map(_release, released)], size)
        useless = count - len(held) - len(released) - (1 - PROGRESS_WORTH) * len(frame.progress)
        if useless or not (held or released):
            await self._pay(useless + 1)
        if others:
            await self._reserve(of_others, reception.others)
            work = reception.settle_others(session, list(self._possible(others)))
            self._begin(work, of_others, reception.others)

    def _gather(self, reports: Sequence[Report], size: int) -> None:
        """Settle reports soon, together with those of other frames that come close to this one."""
        lot = self._lot
        # Large results wait for their like only, and so would what is in one lot with them.
        if lot is None or lot.size + size > limits.LARGE_BYTES:
            lot = self._lot = _Lot()
            reporting = self._reception.background.start(self._settle(lot))
            self._reporting.add(reporting)
            reporting.add_done_callback(self._reporting.discard)
        lot.reports += reports
        lot.size += size

    async def _settle(self, lot: _Lot) -> None:
        now = self._clock.monotonic()
        pause, self._next_lot = self._next_lot - now, max(now, self._next_lot) + GATHER_SECONDS
        try:
            if pause > 0:
                await self._clock.sleep(pause)
            if self._lot is lot:
                self._lot = None
            await self._reception.completion.report(self._session, lot.reports)
        finally:
            self._reception.results.give_back(lot.size)
            self._budget.give_back(lot.size)

    async def settled(self) -> None:
        """Wait until the outcomes that were reported so far are stored."""
        if self._reporting:
            await asyncio.wait(self._reporting)

    def _possible(self, results: Iterable[wire.TaskResult]) -> Iterator[Report]:
        """The reports on what may be an attempt; what cannot be one ends here."""
        for result in results:
            # What a worker makes up must not reach a batch that others share.
            if is_task_id(result.task_id):
                yield read_result(result)
            else:
                ack = wire.ResultAck(task_id=result.task_id, attempt=result.attempt, verdict=wire.VERDICT_INVALID)
                self._session.acknowledge([ack])

    async def _pay(self, useless: float) -> None:
        """Hold the stream up, or end it, if it brings too much that is of no use."""
        manners = self._credit.take(useless, self._clock.monotonic())
        if manners is Manners.NONE:
            raise Flooded("too many frames without results, or reports on attempts that this session does not hold")
        if manners is Manners.SHORT:
            with self._unread():
                await self._clock.sleep(self._reception.timing.unread_pause)

    async def _reserve(self, size: int, common: Budget) -> None:
        """Wait until there is room for so much, here and in all."""
        await self._spend(self._budget, size)
        try:
            await self._spend(common, size)
        except BaseException:
            self._budget.give_back(size)
            raise

    def _begin(self, work: Coroutine[Any, Any, None], size: int, common: Budget) -> None:
        """Settle reports in the background, and give back what was reserved for them."""

        async def settle() -> None:
            try:
                await work
            finally:
                common.give_back(size)
                self._budget.give_back(size)

        self._reception.background.start(settle())

    async def _spend(self, budget: Budget, size: int) -> None:
        if budget.allows(size):
            await budget.spend(size)
        else:
            with self._unread():
                await budget.spend(size)

    @contextmanager
    def _unread(self) -> Iterator[None]:
        """The stream is not read on: its silence is our doing, and the worker hears that we are there."""
        beats = self._reception.background.start(self._beat())
        try:
            yield
        finally:
            beats.cancel()
            self._session.heard(self._clock.monotonic())

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._reception.interval)
            self._session.heard(self._clock.monotonic())
            self._session.breathe()


def _release(ref: wire.AttemptRef) -> Report:
    return Report(ref.task_id, ref.attempt, Released(), 0.0)


def _size(results: Sequence[wire.TaskResult]) -> int:
    return sum(result.ByteSize() + _OVERHEAD for result in results)
