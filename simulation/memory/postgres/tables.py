"""The tables of the task store in memory. Rows never change: an update puts another one in their place.

Columns are those of the migrations; times are seconds since the epoch, JSON columns are JSON text.
"""

from typing import Generic, NamedTuple, TypeVar

from taskyard_core.domain.task import AttemptKey, Outcome, TaskState
from taskyard_core.storage.dispatchers import DispatcherNote
from taskyard_core.storage.sessions import SessionRecord

Key = TypeVar("Key")
Row = TypeVar("Row")


class TaskRow(NamedTuple):
    """A task."""

    id: str
    namespace: str
    queue: str
    type: str
    selector: str
    priority: int
    lane: str
    state: TaskState
    created_at: float
    run_at: float
    payload: bytes
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    cancel_requested: bool = False
    session: str | None = None
    idempotency_key: str | None = None
    expires_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    timeout: float | None = None
    retry: str | None = None
    traceparent: str | None = None
    result: bytes | None = None
    error: str | None = None
    progress: str | None = None


class AttemptRow(NamedTuple):
    """An ended attempt."""

    task_id: str
    attempt: int
    session: str
    worker: str
    pod: str
    dispatcher: str
    started_at: float
    finished_at: float
    outcome: Outcome
    error: str | None


class SessionRow(NamedTuple):
    """A worker session; `record` is what its last hello said."""

    id: str
    generation: int
    live: bool
    record: SessionRecord
    draining: bool
    connected_at: float
    ended_at: float | None = None
    end_reason: str | None = None


class DispatcherRow(NamedTuple):
    """A dispatcher, and when it last wrote."""

    note: DispatcherNote
    seen_at: float


class OutboxRow(NamedTuple):
    """A batch not known to be published."""

    id: int
    created_at: float
    task_ids: tuple[str, ...]


class KeyRow(NamedTuple):
    """An idempotency key and its first task."""

    namespace: str
    key: str
    hash: bytes
    written: bytes
    task_id: str
    created_at: float


class QueueRow(NamedTuple):
    """A queue's settings."""

    namespace: str
    name: str
    retry: str | None = None
    max_backlog: int = 0
    used_at: float = 0.0


class LeaderRow(NamedTuple):
    """The one row of the leader's fence."""

    term: int = 0
    dispatcher: str = ""
    lane_epoch: str = ""


class Table(Generic[Key, Row]):
    """Committed rows by key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[Key, Row] = {}

    def put(self, key: Key, row: Row | None) -> None:
        """Store a row; None deletes it."""
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row


class TaskTable(Table[str, TaskRow]):
    """Tasks, also by state: most statements want those of one state only."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.by_state: dict[TaskState, dict[str, TaskRow]] = {state: {} for state in TaskState}

    def put(self, key: str, row: TaskRow | None) -> None:
        """See Table."""
        former = self.rows.get(key)
        if former is not None and (row is None or row.state is not former.state):
            del self.by_state[former.state][key]
        if row is not None:
            self.by_state[row.state][key] = row
        super().put(key, row)


ONLY = "leader"
"""Key of the leader table's one row."""


class Tables:
    """All of them, as the migrations leave them."""

    def __init__(self) -> None:
        self.tasks = TaskTable("task")
        self.attempts: Table[AttemptKey, AttemptRow] = Table("attempt")
        self.sessions: Table[str, SessionRow] = Table("session")
        self.dispatchers: Table[str, DispatcherRow] = Table("dispatcher")
        self.outbox: Table[int, OutboxRow] = Table("outbox")
        self.keys: Table[tuple[str, str], KeyRow] = Table("idempotency")
        self.queues: Table[tuple[str, str], QueueRow] = Table("queue")
        self.leader: Table[str, LeaderRow] = Table("leader")
        self.leader.put(ONLY, LeaderRow())
