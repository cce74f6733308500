"""Accepting tasks, each with its own outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from taskyard_core.domain import limits
from taskyard_core.domain.task import RetryPolicy, Task, TaskSpec, TaskState
from taskyard_core.storage.submissions import Conflict, Submitted
from taskyard_core.storage.tasks import TASK_BYTES, StoredTasks, within_weight
from taskyard_core.telemetry.facade import Telemetry
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.admission import Admission
from taskyard_scheduler.api.failures import Failure
from taskyard_scheduler.intake import Intake, Stored

_NO_RETRY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submitted task; with `deduplicated` the first one of its idempotency key, as it is now."""

    task: Task
    deduplicated: bool


class AcceptedId(NamedTuple):
    """As Accepted, without the task."""

    id: str
    state: TaskState
    deduplicated: bool


Item = TaskSpec | Failure
"""What became of reading one task of a request."""

_Outcome = tuple[TaskSpec, Submitted] | Failure


class SubmissionDesk:
    """Takes tasks in. Failures of one task are outcomes, those of all are raised: StoreUnavailable."""

    def __init__(self, intake: Intake, admission: Admission, stored: StoredTasks, telemetry: Telemetry) -> None:
        self._intake = intake
        self._admission = admission
        self._stored = stored
        self._telemetry = telemetry

    async def submit_one(self, spec: TaskSpec) -> Accepted:
        """Store it, or raise Failure."""
        outcome = (await self._accept([spec]))[0]
        if isinstance(outcome, Failure):
            raise outcome
        known = _deduplicated([outcome])
        accepted = _accepted(*outcome, await self._stored.get_many(known) if known else {})
        if isinstance(accepted, Failure):
            raise accepted
        return accepted

    async def submit(self, items: Sequence[Item]) -> list[Accepted | AcceptedId | Failure]:
        """Store what can be taken; one outcome per item, in their order.

        Those that would make the answer too large are told by id and state.
        """
        outcomes = await self._accept(items)
        known = _deduplicated(outcomes)
        weights = await self._stored.weights(known) if known else {}
        whole = _whole(outcomes, weights)
        first = [task_id for task_id in known if task_id in whole]
        firsts = await self._stored.get_many(first) if first else {}
        states = await self._stored.states(known) if len(first) < len(known) else {}
        return [
            o
            if isinstance(o, Failure)
            else _accepted(*o, firsts)
            if o[1].task_id in whole
            else _accepted_id(*o, states)
            for o in outcomes
        ]

    async def submit_ids(self, items: Sequence[Item]) -> list[AcceptedId | Failure]:
        """As `submit`, but answers with ids and states."""
        outcomes = await self._accept(items)
        known = _deduplicated(outcomes)
        states = await self._stored.states(known) if known else {}
        return [o if isinstance(o, Failure) else _accepted_id(*o, states) for o in outcomes]

    async def _accept(self, items: Sequence[Item]) -> list[_Outcome]:
        refusal = self._admission.refusal
        answers = [item if isinstance(item, Failure) else refusal(item) or item for item in items]
        specs = [answer for answer in answers if not isinstance(answer, Failure)]
        if not specs:
            return [answer for answer in answers if isinstance(answer, Failure)]
        with self._telemetry.submission(_traceparent(specs)) as traceparent:
            specs = _traced(specs, traceparent)
            stored = await self._intake.submit(specs)
        outcomes = map(_outcome, specs, stored)
        return [answer if isinstance(answer, Failure) else next(outcomes) for answer in answers]


def new_task(spec: TaskSpec, submitted: Submitted) -> Task:
    """The task that a submission has just become."""
    return Task(
        id=submitted.task_id,
        namespace=spec.namespace,
        queue=spec.queue,
        type=spec.type,
        payload=spec.payload,
        priority=spec.priority,
        selector=spec.selector,
        state=TaskState.SCHEDULED if spec.waits else TaskState.QUEUED,
        idempotency_key=spec.idempotency_key,
        run_at=_run_at(spec, submitted.created_at),
        expires_at=spec.expires_at,
        timeout=spec.timeout,
        retry=spec.retry or _NO_RETRY,
        created_at=submitted.created_at,
        traceparent=spec.traceparent,
    )


def _run_at(spec: TaskSpec, created: datetime) -> datetime:
    return spec.run_at or (created + timedelta(seconds=spec.delay) if spec.delay else created)


def _outcome(spec: TaskSpec, stored: Stored) -> _Outcome:
    if isinstance(stored, Exception):
        return failures.from_error(stored)
    if isinstance(stored, Conflict):
        return failures.conflict(spec.idempotency_key, stored.first_task_id)
    return spec, stored


def _traceparent(specs: Sequence[TaskSpec]) -> str | None:
    # A batch comes from one caller: what it was doing is told by any of its tasks.
    return next((spec.traceparent for spec in specs if spec.traceparent), None)


def _traced(specs: list[TaskSpec], traceparent: str | None) -> list[TaskSpec]:
    if traceparent is None or all(spec.traceparent for spec in specs):
        return specs
    return [spec if spec.traceparent else replace(spec, traceparent=traceparent) for spec in specs]


def _accepted(spec: TaskSpec, submitted: Submitted, firsts: dict[str, Task]) -> Accepted | Failure:
    if not submitted.deduplicated:
        return Accepted(new_task(spec, submitted), deduplicated=False)
    if submitted.task_id in firsts:
        return Accepted(firsts[submitted.task_id], deduplicated=True)
    return _vanished(submitted.task_id)


def _accepted_id(spec: TaskSpec, submitted: Submitted, states: dict[str, TaskState]) -> AcceptedId | Failure:
    if not submitted.deduplicated:
        return AcceptedId(submitted.task_id, TaskState.SCHEDULED if spec.waits else TaskState.QUEUED, False)
    if submitted.task_id in states:
        return AcceptedId(submitted.task_id, states[submitted.task_id], True)
    return _vanished(submitted.task_id)


def _whole(outcomes: Sequence[_Outcome], weights: Mapping[str, int]) -> set[str]:
    """Ids of the tasks, from the first on, that the answer has room for as a whole."""
    accepted = [o for o in outcomes if not isinstance(o, Failure)]
    weighed = [(s.task_id, weights.get(s.task_id, 0) if s.deduplicated else _weight(spec)) for spec, s in accepted]
    return set(within_weight(weighed, limits.ANSWER_BYTES))


def _weight(spec: TaskSpec) -> int:
    return len(spec.payload) + len(spec.selector) + len((spec.idempotency_key or "").encode()) + TASK_BYTES


def _deduplicated(outcomes: Sequence[_Outcome]) -> list[str]:
    return [o[1].task_id for o in outcomes if not isinstance(o, Failure) and o[1].deduplicated]


def _vanished(task_id: str) -> Failure:
    # Purged between the two statements, and its key with it: the next try makes a new task.
    return Failure(failures.Reason.UNAVAILABLE, f"task {task_id} has just been deleted, try again", retry_after=0.0)
