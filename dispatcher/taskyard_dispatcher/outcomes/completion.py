"""Outcomes: results become transitions, committed in groups, and every worker hears the verdict."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from taskyard_core.domain import lanes, limits
from taskyard_core.domain.task import Outcome, TaskError, TaskState
from taskyard_core.domain.transitions import Event, Failed, Released, Snapshot, Succeeded, decide
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.changes import Applied, Changes, Standing
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry import Ended, Telemetry
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.outcomes.endings import Endings
from taskyard_dispatcher.outcomes.queues import QueueDefaults
from taskyard_dispatcher.outcomes.storing import RETRY_PAUSE, Stored, Storing
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.state import Running, Session

_log = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0
"""Seconds between tries to store an outcome that did not pass alone, in the end."""

_REFUSALS = {wire.VERDICT_STALE: "stale", wire.VERDICT_DUPLICATE: "duplicate"}


class Report(NamedTuple):
    """What a worker says became of an attempt."""

    task_id: str
    attempt: int
    event: Event
    run_seconds: float
    invalid: bool = False


_Store = Callable[[Sequence[Ended]], Awaitable[Sequence[Stored]]]


class Completion:
    """Stores outcomes. The same path takes results, hand-backs and attempts that the dispatcher itself ends."""

    def __init__(
        self,
        *,
        changes: Changes,
        endings: Endings,
        queues: QueueDefaults,
        telemetry: Telemetry,
        clock: Clock,
        slots_freed: Callable[[], None],
    ) -> None:
        self._changes = changes
        self._endings = endings
        self._queues = queues
        self._telemetry = telemetry
        self._clock = clock
        self._slots_freed = slots_freed
        self._storing = Storing(changes, clock, self._committed)

    async def report(self, session: Session, reports: Sequence[Report]) -> None:
        """Settle what a worker reported, and acknowledge it; tries until Postgres has answered."""
        unsettled = await self._settle(session, reports, self._storing.store)
        if unsettled:
            # The others are settled: these keep nobody waiting but themselves.
            await asyncio.gather(*(self._insist(session, report, error) for report, error in unsettled))

    async def end(self, session: Session, held: Running, event: Event) -> None:
        """End an attempt from here, e.g. one that has overrun its timeout."""
        report = Report(held.task.task_id, held.task.attempt, event, self._clock.monotonic() - held.since)
        ending = self._of_held(session, held, report)
        pause = RETRY_PAUSE
        stored = await self._storing.store([ending])
        while isinstance(stored[0], Exception):
            _log.warning(
                "an end is not stored: %s", stored[0], extra={"task": report.task_id, "session": session.runner.session}
            )
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            stored = await self._storing.store([ending], hard=True)
        self._forget(session, [report])

    async def _settle(
        self, session: Session, reports: Sequence[Report], store: _Store
    ) -> list[tuple[Report, Exception]]:
        """Store and acknowledge; returns what cannot be stored now, and why."""
        endings = [self._ending(session, report) for report in reports]
        stored = iter(await store([ending for ending in endings if ending]))
        fates = [next(stored) if ending else False for ending in endings]
        accepted = [report for report, fate in zip(reports, fates, strict=True) if fate is True]
        refused = [report for report, fate in zip(reports, fates, strict=True) if fate is False]
        self._forget(session, accepted)
        verdicts = [(report, _verdict(session.id, report, None)) for report in accepted]
        if refused:
            standings = await self._standings(refused)
            verdicts += [(r, _verdict(session.id, r, standing)) for r, standing in zip(refused, standings, strict=True)]
            self._forget(session, refused)
            for verdict, reason in _REFUSALS.items():
                self._telemetry.refused(reason, sum(given == verdict for _, given in verdicts))
        session.acknowledge(
            wire.ResultAck(task_id=report.task_id, attempt=report.attempt, verdict=verdict)
            for report, verdict in verdicts
            if type(report.event) is not Released
        )
        if len(verdicts) == len(reports):
            return []
        return [(report, fate) for report, fate in zip(reports, fates, strict=True) if isinstance(fate, Exception)]

    async def _insist(self, session: Session, report: Report, error: Exception) -> None:
        """Store an outcome that did not pass alone: for as long as it takes, and apart from all others."""
        pause = RETRY_PAUSE
        unsettled = [(report, error)]
        while unsettled:
            (report, error), *_ = unsettled
            _log.warning(
                "an outcome is not stored: %s", error, extra={"task": report.task_id, "session": session.runner.session}
            )
            if not isinstance(error, StoreUnavailable):
                # What the store refuses now, it will refuse for ever.
                report = report._replace(event=_invalid("the store refuses it"), invalid=True)
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            unsettled = await self._settle(session, [report], partial(self._storing.store, hard=True))

    def _ending(self, session: Session, report: Report) -> Ended | None:
        """The transition of a report; None if nothing it could change is known here."""
        held = session.running.get(report.task_id)
        if held and held.task.attempt == report.attempt:
            return self._of_held(session, held, report)
        if type(report.event) is Succeeded:
            # Perhaps the task waits again after this session was thought lost; then the work need not be done twice.
            snapshot = Snapshot(report.task_id, TaskState.RUNNING, report.attempt, session=session.id)
            transition = decide(snapshot, report.event, random.random)
            ran = _ran(report.run_seconds, limits.TIMEOUT_SECONDS)
            return Ended(transition, lanes.UNKNOWN.name, session.runner, ran)
        return None

    def _of_held(self, session: Session, held: Running, report: Report) -> Ended:
        snapshot = held.snapshot(self._queues.retry(held.task.lane))
        transition = decide(snapshot, report.event, random.random)
        # It was ready before it was claimed, and has not run for longer than it was ready.
        ran = _ran(report.run_seconds, held.task.waited + self._clock.monotonic() - held.since)
        return Ended(transition, held.task.lane, session.runner, ran, held.task.traceparent)

    async def _standings(self, reports: Sequence[Report]) -> list[Standing]:
        while True:
            try:
                return await self._changes.standings([(report.task_id, report.attempt) for report in reports])
            except StoreUnavailable:
                await self._clock.sleep(RETRY_PAUSE)

    def _forget(self, session: Session, reports: Iterable[Report]) -> None:
        for report in reports:
            session.forget(report.task_id, report.attempt)
        self._slots_freed()

    def _committed(self, endings: Sequence[Ended], applied: Applied, took: float) -> None:
        self._endings.committed(endings, applied, took)
        self._telemetry.committed("complete", len(endings), took)


def read_result(result: wire.TaskResult) -> Report:
    """A worker's result; one that breaks a rule fails its attempt for good, since another run would break it again."""
    run_seconds = result.run_time.seconds + result.run_time.nanos / 1e9
    try:
        return Report(result.task_id, result.attempt, frames.event(result), run_seconds)
    except Violation as violation:
        return Report(result.task_id, result.attempt, _invalid(str(violation)), run_seconds, invalid=True)


def _invalid(why: str) -> Failed:
    return Failed(TaskError("INVALID_RESULT", why, retryable=False))


def _ran(told: float, most: float) -> float:
    """Seconds that an attempt ran: what the worker tells, as far as that can be."""
    return min(told, most) if told > 0.0 else 0.0


def _verdict(session: str, report: Report, standing: Standing | None) -> wire.Verdict.ValueType:
    """What to tell the worker; `standing` is None where the report was accepted just now."""
    if standing is None:
        return wire.VERDICT_INVALID if report.invalid else wire.VERDICT_ACCEPTED
    same = standing.session == session and _claims_outcome(report.event, standing.outcome)
    return wire.VERDICT_DUPLICATE if same else wire.VERDICT_STALE


def _claims_outcome(event: Event, outcome: Outcome | None) -> bool:
    if type(event) is Succeeded:
        return outcome is Outcome.SUCCEEDED
    if type(event) is Failed:
        return outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
    # FAILED, where nobody had asked for the cancel.
    return outcome in (Outcome.CANCELLED, Outcome.FAILED, Outcome.RELEASED)
