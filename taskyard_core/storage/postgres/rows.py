"""From rows to the domain's values."""

import asyncpg

from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import Attempt, Outcome, RetryPolicy, Task, TaskState
from taskyard_core.domain.transitions import Snapshot
from taskyard_core.storage import codec
from taskyard_core.storage.tasks import Decidable


def task(row: asyncpg.Record) -> Task:
    """The task of a row of `get_tasks`."""
    read = {
        "id": str(row["id"]),
        "state": TaskState(row["state"]),
        "timeout": codec.shown_seconds(row["timeout"]),
        "retry": _retry(row["retry"]),
        "error": codec.load_error(row["error"]),
        "progress": codec.load_progress(row["progress"]),
    }
    return Task(**dict(row) | read)


def snapshot(row: asyncpg.Record) -> Snapshot:
    """What a decision looks at, of a row of `task_snapshot` or of a lock."""
    return Snapshot(
        id=str(row["id"]),
        state=TaskState(row["state"]),
        attempt=row["attempt"],
        failures=row["failures"],
        crashes=row["crashes"],
        cancel_requested=row["cancel_requested"],
        retry=_retry(row["retry"]),
        session=str(row["session"]) if row["session"] else None,
    )


def decidable(row: asyncpg.Record) -> Decidable:
    """The same, and what is told of the task."""
    return Decidable(snapshot(row), row["lane"], row["traceparent"])


def attempt(row: asyncpg.Record) -> Attempt:
    """The attempt of a row of `task_attempts`."""
    return Attempt(
        task_id=str(row["task_id"]),
        attempt=row["attempt"],
        session_id=public_name(str(row["session"])),
        worker=row["worker"],
        pod=row["pod"],
        dispatcher=row["dispatcher"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error=codec.load_error(row["error"]),
    )


def _retry(text: str | None) -> RetryPolicy:
    return codec.load_retry(text) or _NO_RETRY


_NO_RETRY = RetryPolicy()
