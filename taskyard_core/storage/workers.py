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


WorkerPlace = tuple[str, str, str]
"""Where a worker is in the list: its namespace, its name, and `session_names.digest` of its session."""


class LiveWorkers(Protocol):
    """Sessions, seen by those who ask about workers."""

    async def page(
        self, namespace: str | None, after: WorkerPlace | None, limit: int
    ) -> tuple[list[Worker], WorkerPlace | None]:
        """Workers by name, or those of a namespace: up to `limit` after a place, and the last one's or None on the last
        page. Fewer where they come to more than `tasks.PAGE_BYTES` as JSON, but at least one. Raises StoreUnavailable.
        """

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many; raises StoreUnavailable."""
