"""Outcomes: results become transitions, committed in groups, and every worker hears the verdict."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.domain import limits
from taskyard_core.domain.task import Outcome, TaskError
from taskyard_core.domain.transitions import Event, Failed, Released, Succeeded, Transition, decide, succeeded
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.changes import Applied, Changes, Standing
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.outcomes.queues import QueueDefaults
from taskyard_dispatcher.outcomes.storing import Stored, Storing
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.state import Running, Session
from taskyard_dispatcher.timing import OutcomeTiming

_log = logging.getLogger(__name__)

_REFUSALS = {wire.VERDICT_STALE: "stale", wire.VERDICT_DUPLICATE: "duplicate"}


class Report(NamedTuple):
    """What a worker says became of an attempt."""

    task_id: str
    attempt: int
    event: Event
    run_seconds: float
    invalid: bool = False


@dataclass(slots=True)
class _Case:
    """A report on its way to a verdict; without a transition it is of no attempt that is known here."""

    report: Report
    transition: Transition | None
    verdict: wire.Verdict.ValueType
    stored: Stored = False


_Store = Callable[[Sequence[Transition]], Awaitable[Sequence[Stored]]]


class Completion:
    """Stores outcomes. The same path takes results, hand-backs and attempts that the dispatcher itself ends."""

    def __init__(
        self,
        *,
        changes: Changes,
        aftermath: Aftermath,
        queues: QueueDefaults,
        telemetry: Telemetry,
        clock: Clock,
        slots_freed: Callable[[], None],
        timing: OutcomeTiming = OutcomeTiming(),
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._changes = changes
        self._aftermath = aftermath
        self._queues = queues
        self._telemetry = telemetry
        self._clock = clock
        self._slots_freed = slots_freed
        self._timing = timing
        self._draw = draw
        self._storing = Storing(changes, clock, self._committed, timing)

    async def report(self, session: Session, reports: Sequence[Report]) -> None:
        """Settle what a worker reported, and acknowledge it; tries until Postgres has answered."""
        unsettled = await self._settle(session, reports, self._storing.store)
        if unsettled:
            # The others are settled: these keep nobody waiting but themselves.
            await asyncio.gather(*(self._insist(session, report, error) for report, error in unsettled))

    async def end(self, session: Session, held: Running, event: Event) -> None:
        """End an attempt from here, e.g. one that has overrun its timeout."""
        report = Report(held.task.task_id, held.task.attempt, event, self._clock.monotonic() - held.since)
        transition = self._of_held(session, held, report)
        pause = self._timing.retry_pause
        stored = await self._storing.store([transition])
        while isinstance(stored[0], Exception):
            _log.warning(
                "an end is not stored: %s", stored[0], extra={"task": report.task_id, "session": session.runner.session}
            )
            await self._clock.sleep(pause)
            pause = min(2 * pause, self._timing.longest_pause)
            stored = await self._storing.store([transition], hard=True)
        self._forget(session, [report])

    async def _settle(
        self, session: Session, reports: Sequence[Report], store: _Store
    ) -> list[tuple[Report, Exception]]:
        """Store and acknowledge; returns what cannot be stored now, and why."""
        cases = [
            _Case(r, self._transition(session, r), wire.VERDICT_INVALID if r.invalid else wire.VERDICT_ACCEPTED)
            for r in reports
        ]
        known = [case for case in cases if case.transition]
        outcomes = await store([case.transition for case in known if case.transition])
        for case, stored in zip(known, outcomes, strict=True):
            case.stored = stored
        self._forget(session, (case.report for case in cases if case.stored is True))
        refused = [case for case in cases if case.stored is False]
        if refused:
            await self._refuse(session, refused)
        session.acknowledge(
            wire.ResultAck(task_id=case.report.task_id, attempt=case.report.attempt, verdict=case.verdict)
            for case in cases
            if type(case.stored) is bool and type(case.report.event) is not Released
        )
        return [(case.report, case.stored) for case in cases if isinstance(case.stored, Exception)]

    async def _refuse(self, session: Session, cases: Sequence[_Case]) -> None:
        """Find out what the worker is to be told of reports that changed nothing."""
        standings = await self._standings([case.report for case in cases])
        for case, standing in zip(cases, standings, strict=True):
            same = standing.session == session.id and _claims_outcome(case.report.event, standing.outcome)
            case.verdict = wire.VERDICT_DUPLICATE if same else wire.VERDICT_STALE
        self._forget(session, (case.report for case in cases))
        for verdict, reason in _REFUSALS.items():
            self._telemetry.refused(reason, sum(case.verdict == verdict for case in cases))

    async def _insist(self, session: Session, report: Report, error: Exception) -> None:
        """Store an outcome that did not pass alone: for as long as it takes, and apart from all others."""
        pause = self._timing.retry_pause
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
            pause = min(2 * pause, self._timing.longest_pause)
            unsettled = await self._settle(session, [report], partial(self._storing.store, hard=True))

    def _transition(self, session: Session, report: Report) -> Transition | None:
        """What a report is to do; None if nothing it could change is known here."""
        held = session.running.get(report.task_id)
        if held and held.task.attempt == report.attempt:
            return self._of_held(session, held, report)
        if type(report.event) is Succeeded:
            # Perhaps the task waits again after this session was thought lost; then the work need not be done twice.
            return _success(session, report, report.event.result, limits.TIMEOUT_SECONDS)
        return None

    def _of_held(self, session: Session, held: Running, report: Report) -> Transition:
        # It was ready before it was claimed, and has not run for longer than it was ready.
        longest = held.task.waited + self._clock.monotonic() - held.since
        if type(report.event) is Succeeded:
            return _success(session, report, report.event.result, longest)
        snapshot = held.snapshot(self._queues.retry(held.task.lane))
        decided = decide(snapshot, report.event, self._draw)
        return decided._replace(runner=session.runner, ran=_ran(report.run_seconds, longest))

    async def _standings(self, reports: Sequence[Report]) -> list[Standing]:
        while True:
            try:
                return await self._changes.standings([(report.task_id, report.attempt) for report in reports])
            except StoreUnavailable:
                await self._clock.sleep(self._timing.retry_pause)

    def _forget(self, session: Session, reports: Iterable[Report]) -> None:
        for report in reports:
            session.forget(report.task_id, report.attempt)
        self._slots_freed()

    def _committed(self, applied: Applied, took: float) -> None:
        self._aftermath.committed(applied, took)
        self._telemetry.committed("complete", len(applied.changes), took)


def read_result(result: wire.TaskResult) -> Report:
    """A worker's result; one that breaks a rule fails its attempt for good, since another run would break it again."""
    run_seconds = result.run_time.seconds + result.run_time.nanos / 1e9
    try:
        return Report(result.task_id, result.attempt, frames.event(result), run_seconds)
    except Violation as violation:
        return Report(result.task_id, result.attempt, _invalid(str(violation)), run_seconds, invalid=True)


def _invalid(why: str) -> Failed:
    return Failed(TaskError("INVALID_RESULT", why, retryable=False))


def _success(session: Session, report: Report, result: bytes, longest: float) -> Transition:
    ran = _ran(report.run_seconds, longest)
    return succeeded(report.task_id, report.attempt, session.id, result, runner=session.runner, ran=ran)


def _ran(told: float, most: float) -> float:
    """Seconds that an attempt ran: what the worker tells, as far as that can be."""
    return min(told, most) if told > 0.0 else 0.0


def _claims_outcome(event: Event, outcome: Outcome | None) -> bool:
    if type(event) is Succeeded:
        return outcome is Outcome.SUCCEEDED
    if type(event) is Failed:
        return outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
    # FAILED, where nobody had asked for the cancel.
    return outcome in (Outcome.CANCELLED, Outcome.FAILED, Outcome.RELEASED)
