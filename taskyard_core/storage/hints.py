"""Hints that somebody should look: one small pub/sub message for a whole batch, and it may be lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LanesFilled:
    """Lanes that got entries."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TasksFinished:
    """Tasks that became terminal, as `raw` bytes: ids with a space between.

    Most readers wait for few tasks or none and need not take the message apart.
    """

    raw: bytes

    @property
    def ids(self) -> list[str]:
        """The tasks' ids."""
        return self.raw.decode().split()

    @classmethod
    def of(cls, ids: Iterable[str]) -> "TasksFinished":
        """The message for these ids."""
        return cls(" ".join(ids).encode())


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Running tasks that somebody asked to cancel."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The stream of hints begins or goes on; any number of them may have been missed before."""


Message = LanesFilled | TasksFinished | CancelRequested
Hint = Message | Reconnected


class Hints(Protocol):
    """Gives hints. Every method raises StoreUnavailable while the store is away; callers need not repeat it.

    LanesFilled comes from the lanes themselves.
    """

    async def tasks_finished(self, ids: Sequence[str]) -> None:
        """Tells the schedulers which tasks became terminal."""

    async def cancel_requested(self, ids: Sequence[str]) -> None:
        """Tells the dispatchers which running tasks should be cancelled."""
