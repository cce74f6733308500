"""The task store in memory: does what the statements of `taskyard_core.storage.postgres` do, one at a time."""

from simulation.memory.postgres.server import Change, Observer, TaskServer
from simulation.memory.postgres.store import MemoryTaskStore

__all__ = ["Change", "MemoryTaskStore", "Observer", "TaskServer"]
