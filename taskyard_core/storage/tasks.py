"""Reading tasks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol, TypeVar

from taskyard_core.domain.task import Attempt, Task, TaskState
from taskyard_core.domain.transitions import Snapshot

Id = TypeVar("Id")

PAGE_BYTES = 2 * 1024 * 1024
"""What the tasks of a page weigh, or the errors of runs; gRPC's clients refuse more than 4 MiB unless told to."""

TASK_BYTES = 600
"""What a task weighs beside its texts."""

INDEXED_STATES = frozenset({TaskState.SCHEDULED, TaskState.QUEUED, TaskState.RUNNING, TaskState.FAILED})
"""States whose tasks can be found without looking at others."""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are meant: all given fields must match."""

    namespace: str | None = None
    queue: str | None = None
    type: str | None = None
    state: TaskState | None = None
    error_type: str | None = None


class Decidable(NamedTuple):
    """What a decision about a task looks at, and what is told of it."""

    snapshot: Snapshot
    lane: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how many seconds after their end tasks are kept: FAILED ones, and all others."""

    ended: float
    failed: float


class EndedPage(NamedTuple):
    """A page of all tasks by id: how many ids it has, the last one, and those that need not be kept."""

    size: int
    last: str | None
    ended: list[str]


class StoredTasks(Protocol):
    """All tasks, seen by those who ask about them. Moments are those of the store's clock. Every method raises
    StoreUnavailable.
    """

    async def get(self, task_id: str) -> Task | None:
        """The task, or None if there is none."""

    async def get_many(self, ids: Sequence[str]) -> dict[str, Task]:
        """Those of the tasks that exist, by id."""

    async def decidable(self, task_id: str) -> Decidable | None:
        """What a decision about the task looks at, or None if there is none."""

    async def states(self, ids: Sequence[str]) -> dict[str, TaskState]:
        """States of those of the tasks that exist, by id."""

    async def weights(self, ids: Sequence[str]) -> dict[str, int]:
        """About how many bytes those of the tasks that exist take in an answer, by id."""

    async def page(self, wanted: TaskFilter, size: int, after: str | None) -> tuple[list[Task], str | None]:
        """Up to `size` tasks that fit, newest first, from the one after `after` on; and where the next page goes on.

        That is None after the last page. Fewer where payloads and results are large, or where few of the
        `limits.PAGE_SCAN` tasks that come next fit; perhaps none.
        """

    async def attempts(self, task_id: str, size: int, after: int = 0) -> tuple[list[Attempt], int | None]:
        """Up to `size` of the task's runs, oldest first, after that attempt; the last one, or None on the last page.

        Empty also where there is no such task. Fewer where errors are large.
        """

    async def find_failed(self, wanted: TaskFilter, limit: int) -> list[str]:
        """Ids of FAILED tasks that fit, oldest first."""

    async def any_due(self) -> bool:
        """Whether run_at of any SCHEDULED task has come."""

    async def any_expired(self) -> bool:
        """Whether expires_at of any task that did not start has passed."""

    async def ended(self, after: str, before: str, limit: int, keeping: Keeping) -> EndedPage:
        """The next `limit` ids between two, and which of these tasks need not be kept."""


def within_weight(weighed: Iterable[tuple[Id, int]], most: int = PAGE_BYTES) -> list[Id]:
    """Of (id, bytes) pairs the ids from the first on that one answer can carry, at least one."""
    pairs = list(weighed)
    sums = accumulate(weight for _, weight in pairs)
    return [task_id for n, ((task_id, _), total) in enumerate(zip(pairs, sums, strict=True)) if n == 0 or total <= most]
