"""The authority on tasks, noun by noun."""

from typing import Protocol

from taskyard_core.storage.changes import Changes
from taskyard_core.storage.claims import Claims
from taskyard_core.storage.dispatchers import Dispatchers
from taskyard_core.storage.history import History
from taskyard_core.storage.leader import LeaderFence
from taskyard_core.storage.outbox import Outbox
from taskyard_core.storage.queued import QueuedTasks
from taskyard_core.storage.queues import StoredQueues
from taskyard_core.storage.sessions import Sessions
from taskyard_core.storage.submissions import Submissions
from taskyard_core.storage.tasks import StoredTasks
from taskyard_core.storage.transaction import Transactions
from taskyard_core.storage.waiting import WaitingTasks
from taskyard_core.storage.workers import LiveWorkers


class TaskStore(Transactions, Protocol):
    """Where tasks, sessions and the leader's term are kept: Postgres, or memory in a simulation."""

    @property
    def submissions(self) -> Submissions:
        """New tasks."""

    @property
    def claims(self) -> Claims:
        """From QUEUED to RUNNING."""

    @property
    def changes(self) -> Changes:
        """All other transitions."""

    @property
    def sessions(self) -> Sessions:
        """Worker sessions."""

    @property
    def dispatchers(self) -> Dispatchers:
        """Dispatchers that answer for their sessions."""

    @property
    def outbox(self) -> Outbox:
        """What must still reach the lanes."""

    @property
    def tasks(self) -> StoredTasks:
        """Tasks to read."""

    @property
    def queued(self) -> QueuedTasks:
        """What the lanes should hold."""

    @property
    def waiting(self) -> WaitingTasks:
        """Tasks that wait for a moment."""

    @property
    def history(self) -> History:
        """What is over."""

    @property
    def queues(self) -> StoredQueues:
        """Queues."""

    @property
    def workers(self) -> LiveWorkers:
        """Workers that are connected."""

    @property
    def leader(self) -> LeaderFence:
        """The fence of the leader's duties."""
