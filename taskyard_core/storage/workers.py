"""Workers that have a session now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from taskyard_core.domain.matching import Capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker and how busy it is, for those who ask; `session_id` is the session's public name."""

    session_id: str
    name: str
    namespace: str
    labels: Mapping[str, str]
    queues: Sequence[str]
    types: Sequence[str]
    slots: int
    running: int
    pod: str
    dispatcher: str
    sdk: str
    pid: int
    connected_at: datetime
    draining: bool


class LiveWorkers(Protocol):
    """Sessions, seen by those who ask about workers."""

    async def all(self, namespace: str | None = None) -> list[Worker]:
        """All workers, or those of a namespace; raises StoreUnavailable."""

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many; raises StoreUnavailable."""
