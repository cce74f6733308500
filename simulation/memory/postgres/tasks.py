"""Reading tasks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from simulation.memory.postgres import history, waiting
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.rows import decidable, lock_within, rows
from simulation.memory.postgres.tables import AttemptRow, TaskRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain import limits
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import Attempt, RetryPolicy, Task, TaskState
from taskyard_core.storage import codec
from taskyard_core.storage.tasks import (
    INDEXED_STATES,
    TASK_BYTES,
    Decidable,
    EndedPage,
    Keeping,
    TaskFilter,
    within_weight,
)


class StoredTasks:
    """See taskyard_core.storage.tasks."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, task_id: str) -> Task | None:
        """The task, or None if there is none."""
        return (await self.get_many([task_id])).get(task_id)

    async def get_many(self, ids: Sequence[str]) -> dict[str, Task]:
        """Those of the tasks that exist, by id."""
        return await self._client.run(lambda work: {row.id: _task(work, row) for row in rows(work, ids)})

    async def decidable(self, task_id: str) -> Decidable | None:
        """What a decision about the task looks at, or None if there is none."""
        return await self._client.run(lambda work: next(map(decidable, rows(work, [task_id])), None))

    async def states(self, ids: Sequence[str]) -> dict[str, TaskState]:
        """States of those of the tasks that exist, by id."""
        return await self._client.run(lambda work: {row.id: row.state for row in rows(work, ids)})

    async def weights(self, ids: Sequence[str]) -> dict[str, int]:
        """About how many bytes those of the tasks that exist take in an answer, by id."""
        return await self._client.run(lambda work: {row.id: _weight(row) for row in rows(work, ids)})

    async def page(self, wanted: TaskFilter, size: int, after: str | None) -> tuple[list[Task], str | None]:
        """Up to `size` tasks that fit, newest first, from the one after `after` on; and where the next page goes on."""
        return await self._client.run(lambda work: _page(work, wanted, size, after))

    async def attempts(self, task_id: str, size: int, after: int = 0) -> tuple[list[Attempt], int | None]:
        """Up to `size` of the task's runs, oldest first, after that attempt; the last one, or None on the last page."""
        return await self._client.run(lambda work: _attempts(work, task_id, size, after))

    async def find_failed(self, wanted: TaskFilter, limit: int) -> list[str]:
        """Ids of FAILED tasks that fit, oldest first."""
        return await self._client.run(lambda work: [row.id for row in _failed(work, wanted)[:limit]])

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come."""
        return await self._client.run(lambda work: bool(waiting.due(work)))

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed."""
        return await self._client.run(lambda work: bool(waiting.expired(work)))

    async def ended(self, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
        """The next `limit` ids between two."""
        return await self._client.run(lambda work: history.page(work, after, before, limit, keeping))


def lock_failed_within(work: Work, wanted: TaskFilter, limit: int) -> list[Decidable]:
    """FAILED tasks that fit, oldest first, locked."""
    return lock_within(work, _failed(work, wanted), limit)


def _failed(work: Work, wanted: TaskFilter) -> list[TaskRow]:
    fits = _fits(replace(wanted, state=None))
    return sorted(row for row in work.tasks(TaskState.FAILED) if fits(row))


def _fits(wanted: TaskFilter) -> Callable[[TaskRow], bool]:
    def fits(row: TaskRow) -> bool:
        error = codec.load_error(row.error) if wanted.error_type is not None else None
        return (
            wanted.namespace in (None, row.namespace)
            and wanted.queue in (None, row.queue)
            and wanted.type in (None, row.type)
            and wanted.state in (None, row.state)
            and (wanted.error_type is None or (error is not None and error.type == wanted.error_type))
        )

    return fits


def _page(work: Work, wanted: TaskFilter, size: int, after: str | None) -> tuple[list[Task], str | None]:
    fits = _fits(wanted)
    few = wanted.state in INDEXED_STATES and len(work.tasks(wanted.state)) < limits.PAGE_SCAN
    all_rows = work.tasks(wanted.state) if few and wanted.state else work.tasks(*TaskState)
    next_rows = sorted((row for row in all_rows if after is None or row.id < after), reverse=True)
    seen = next_rows if few else next_rows[: limits.PAGE_SCAN]
    rows = [row for row in seen if fits(row)][: size + 1]
    end = seen[-1].id if not few and len(rows) <= size and len(seen) == limits.PAGE_SCAN else None
    ids = within_weight((row.id, _weight(row)) for row in rows[:size])
    return [_task(work, row) for row in rows[: len(ids)]], ids[-1] if len(ids) < len(rows) else end


def _weight(row: TaskRow) -> int:
    texts = (row.error, row.selector, row.idempotency_key, row.traceparent, row.progress)
    return len(row.payload) + len(row.result or b"") + sum(len((text or "").encode()) for text in texts) + TASK_BYTES


def _attempts(work: Work, task_id: str, size: int, after: int) -> tuple[list[Attempt], int | None]:
    found: list[tuple[Attempt, int]] = []
    for row in rows(work, [task_id]):
        found += [(_ended(ended), len((ended.error or "").encode())) for ended in _ended_rows(work, row)]
        found += [(attempt, 0) for attempt in _under_way(work, row)]
    rest = [(attempt, weight) for attempt, weight in found if attempt.attempt > after]
    page = within_weight(rest[:size])
    return page, page[-1].attempt if len(page) < len(rest) else None


def _ended_rows(work: Work, row: TaskRow) -> list[AttemptRow]:
    found = (work.get(work.tables.attempts, (row.id, number)) for number in range(1, row.attempt + 1))
    return [ended for ended in found if ended is not None]


def _ended(row: AttemptRow) -> Attempt:
    return Attempt(
        task_id=row.task_id,
        attempt=row.attempt,
        session_id=public_name(row.session),
        worker=row.worker,
        pod=row.pod,
        dispatcher=row.dispatcher,
        started_at=_moment(row.started_at),
        finished_at=_moment(row.finished_at),
        outcome=row.outcome,
        error=codec.load_error(row.error),
    )


def _under_way(work: Work, row: TaskRow) -> list[Attempt]:
    if row.state is not TaskState.RUNNING or row.session is None or row.started_at is None:
        return []
    session = work.get(work.tables.sessions, row.session)
    return [
        Attempt(
            task_id=row.id,
            attempt=row.attempt,
            session_id=public_name(row.session),
            worker=session.record.worker if session else "",
            pod=session.record.pod if session else "",
            dispatcher=session.record.dispatcher if session else "",
            started_at=_moment(row.started_at),
        )
    ]


def _task(work: Work, row: TaskRow) -> Task:
    return Task(
        id=row.id,
        namespace=row.namespace,
        queue=row.queue,
        type=row.type,
        payload=row.payload if len(row.payload) <= limits.PAYLOAD_BYTES else b"null",
        priority=row.priority,
        selector=row.selector,
        state=row.state,
        attempt=row.attempt,
        failures=row.failures,
        crashes=row.crashes,
        cancel_requested=row.cancel_requested,
        idempotency_key=row.idempotency_key,
        run_at=_moment(row.run_at),
        expires_at=None if row.expires_at is None else _moment(row.expires_at),
        timeout=codec.shown_seconds(row.timeout),
        retry=codec.load_retry(row.retry) or RetryPolicy(),
        result=row.result if len(row.result or b"") <= limits.RESULT_BYTES else None,
        error=codec.load_error(row.error),
        created_at=_moment(row.created_at),
        started_at=None if row.started_at is None else _moment(row.started_at),
        finished_at=None if row.finished_at is None else _moment(row.finished_at),
        worker=_worker(work, row),
        traceparent=row.traceparent,
        progress=codec.load_progress(row.progress),
    )


def _worker(work: Work, row: TaskRow) -> str | None:
    session = work.get(work.tables.sessions, row.session) if row.session else None
    if session is not None:
        return session.record.worker
    ended = _ended_rows(work, row)
    return ended[-1].worker if ended else None


_FIRST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""What the calendar has room for."""


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)
