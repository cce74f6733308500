"""Accepting tasks: durable when `submit` returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from taskyard_core.domain.task import TaskSpec


@dataclass(frozen=True, slots=True)
class NewTask:
    """A submission with the id it will have.

    Under one idempotency key `hash` tells requests that mean the same. `written` tells those that are written the same,
    by which they were compared before: it serves rows of that time, and schedulers of the version before.
    """

    id: str
    spec: TaskSpec
    hash: bytes = b""
    written: bytes = b""

    def repeats(self, hash: bytes | None, written: bytes) -> bool:
        """Whether it asks for the same as the first request of its key, whose hash is None if it is of that time."""
        return self.hash == hash if hash is not None else self.written == written


@dataclass(frozen=True, slots=True)
class Submitted:
    """The task is stored. With `deduplicated` it is the first one of its idempotency key."""

    task_id: str
    created_at: datetime
    deduplicated: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """The idempotency key belongs to a task of another content."""

    first_task_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one transaction stored: outcomes in the batch's order, and the outbox row of what may run now."""

    outcomes: list[Submitted | Conflict]
    outbox_id: int | None


class Submissions(Protocol):
    """Writes batches of new tasks."""

    async def submit(self, batch: Sequence[NewTask]) -> Receipt:
        """Store the batch in one transaction; raises StoreUnavailable."""
