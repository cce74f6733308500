"""The task store in memory: does what the statements of `scheduler.storage.postgres` do, one at a time."""

from scheduler.storage.memory.postgres.server import Change, Observer, TaskServer
from scheduler.storage.memory.postgres.store import MemoryTaskStore

__all__ = ["Change", "MemoryTaskStore", "Observer", "TaskServer"]
