"""Outcomes: results become transitions, committed in groups, and every worker hears the verdict."""

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dispatcher import frames
from dispatcher.endings import Endings
from dispatcher.queues import QueueDefaults
from dispatcher.sessions import Running, Session
from scheduler import failpoints
from scheduler.batcher import Batcher
from scheduler.clock import Clock
from scheduler.domain.task import Outcome, TaskError, TaskState
from scheduler.domain.transitions import Event, Failed, Released, Snapshot, Succeeded, decide
from scheduler.domain.violations import Violation
from scheduler.storage.changes import Changes, Standing
from scheduler.storage.unavailable import StoreUnavailable
from scheduler.telemetry import Ended, Telemetry
from scheduler.wire.gen import worker_service_pb2 as wire

_log = logging.getLogger(__name__)

RETRY_PAUSE = 0.5
"""Seconds between tries to store outcomes while Postgres is away."""


_UNKNOWN_LANE = "unknown/unknown/unknown/0/"
"""Shown for a task that this dispatcher never held."""


_REFUSALS = {wire.VERDICT_STALE: "stale", wire.VERDICT_DUPLICATE: "duplicate"}


class Report(NamedTuple):
    """What a worker says became of an attempt."""

    task_id: str
    attempt: int
    event: Event
    run_seconds: float
    invalid: bool = False


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
        self._batcher = Batcher(self._apply, size=1000, parallel=2)

    async def report(self, session: Session, reports: Sequence[Report]) -> None:
        """Settle what a worker reported, and acknowledge it; tries until Postgres has answered."""
        endings = [self._ending(session, report) for report in reports]
        applied = await self._until_stored([ending for ending in endings if ending])
        verdicts = iter(applied)
        accepted = [next(verdicts) if ending else False for ending in endings]
        self._forget(session, (report for report, ok in zip(reports, accepted, strict=True) if ok))
        refused = [report for report, ok in zip(reports, accepted, strict=True) if not ok]
        standings = dict(zip(refused, await self._standings(refused), strict=True)) if refused else {}
        verdicts_given = [
            (report, _verdict(session.id, report, None if ok else standings[report]))
            for report, ok in zip(reports, accepted, strict=True)
        ]
        session.acknowledge(
            wire.ResultAck(
                task_id=report.task_id,
                attempt=report.attempt,
                verdict=verdict,
            )
            for report, verdict in verdicts_given
            if type(report.event) is not Released
        )
        if refused:
            self._forget(session, refused)
            for verdict, reason in _REFUSALS.items():
                self._telemetry.refused(reason, sum(given == verdict for _, given in verdicts_given))

    async def end(self, session: Session, held: Running, event: Event) -> None:
        """End an attempt from here, e.g. one that has overrun its timeout."""
        report = Report(held.task.task_id, held.task.attempt, event, self._clock.monotonic() - held.since)
        await self._until_stored([self._of_held(session, held, report)])
        self._forget(session, [report])

    def _ending(self, session: Session, report: Report) -> Ended | None:
        """The transition of a report; None if nothing it could change is known here."""
        held = session.running.get(report.task_id)
        if held and held.task.attempt == report.attempt:
            return self._of_held(session, held, report)
        if type(report.event) is Succeeded:
            # Perhaps the task waits again after this session was thought lost; then the work need not be done twice.
            snapshot = Snapshot(report.task_id, TaskState.RUNNING, report.attempt, session=session.id)
            transition = decide(snapshot, report.event, random.random)
            return Ended(transition, _UNKNOWN_LANE, session.runner, report.run_seconds)
        return None

    def _of_held(self, session: Session, held: Running, report: Report) -> Ended:
        namespace, queue, _ = held.task.lane.split("/", 2)
        snapshot = held.snapshot(self._queues.retry(namespace, queue))
        transition = decide(snapshot, report.event, random.random)
        return Ended(transition, held.task.lane, session.runner, report.run_seconds, held.task.traceparent)

    async def _until_stored(self, endings: Sequence[Ended]) -> Sequence[bool]:
        while True:
            try:
                return await self._batcher.add(endings)
            except StoreUnavailable as error:
                _log.warning("%d outcomes wait: %s", len(endings), error)
                await self._clock.sleep(RETRY_PAUSE)

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

    async def _apply(self, endings: list[Ended]) -> list[bool]:
        await failpoints.reach("result-received")
        began = self._clock.monotonic()
        applied = await self._changes.apply([ending.transition for ending in endings])
        await failpoints.reach("outcome-committed")
        took = self._clock.monotonic() - began
        self._endings.committed(endings, applied, took)
        self._telemetry.committed("complete", len(endings), took)
        return [transition is not None for transition in applied.moved]


def read_result(result: wire.TaskResult) -> Report:
    """A worker's result; one that breaks a rule fails its attempt for good, since another run would break it again."""
    run_seconds = result.run_time.seconds + result.run_time.nanos / 1e9
    try:
        return Report(result.task_id, result.attempt, frames.event(result), run_seconds)
    except Violation as violation:
        error = TaskError("INVALID_RESULT", str(violation), retryable=False)
        return Report(result.task_id, result.attempt, Failed(error), run_seconds, invalid=True)


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
