"""The authority on tasks, noun by noun."""

from typing import Protocol

from taskyard_core.storage.changes import Changes
from taskyard_core.storage.leader import LeaderFence
from taskyard_core.storage.queued import QueuedTasks
from taskyard_core.storage.queues import StoredQueues
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.submissions import Submissions
from taskyard_core.storage.tasks import StoredTasks
from taskyard_core.storage.transaction import Transactions


class TaskStore(Transactions, Protocol):
    """Where tasks, sessions and the leader's term are kept: Postgres, or memory in a simulation."""

    @property
    def submissions(self) -> Submissions:
        """New tasks."""

    @property
    def changes(self) -> Changes:
        """Changes of tasks' states."""

    @property
    def sessions(self) -> Sessions:
        """Worker sessions, and the dispatchers that answer for them."""

    @property
    def tasks(self) -> StoredTasks:
        """Tasks to read."""

    @property
    def queued(self) -> QueuedTasks:
        """What the lanes should hold, and do not hold yet."""

    @property
    def queues(self) -> StoredQueues:
        """Queues."""

    @property
    def leader(self) -> LeaderFence:
        """The fence of the leader's duties."""
