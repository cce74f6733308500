"""Workers that have a session now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


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
