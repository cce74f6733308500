"""A submitted task, as its submitter holds it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from taskyard.models import Duration, Task, TaskState

if TYPE_CHECKING:
    from taskyard.client import Client

Out = TypeVar("Out")


class TaskHandle:
    """A durable task.

    Attributes:
        id: the task's id.
        deduplicated: its idempotency key was known, so this is the task submitted first.
    """

    __slots__ = ("_client", "deduplicated", "id")

    def __init__(self, client: "Client", id: str, deduplicated: bool = False) -> None:
        self._client = client
        self.id = id
        self.deduplicated = deduplicated

    def __repr__(self) -> str:
        return f"TaskHandle({self.id!r})"

    async def result(self, timeout: Duration | None = None) -> Any:
        """What the handler returned, once the task is over.

        Without `timeout` (seconds) it waits as long as it takes, also while the cluster is away. Many waits at once
        are cheap. Raises TaskFailed, TaskCancelled or TaskExpired for a task without a result, DeadlineExceeded when
        the time is up (the task goes on), NotFound if it was purged.
        """
        return await self._client.result(self.id, timeout)

    async def get(self) -> Task:
        """The task as it is now."""
        return await self._client.get(self.id)

    async def state(self) -> TaskState:
        """Where the task stands now."""
        return (await self.get()).state

    async def cancel(self) -> Task:
        """Cancel the task; see `Client.cancel`."""
        return await self._client.cancel(self.id)


class TypedHandle(TaskHandle, Generic[Out]):
    """A durable task that was submitted by a definition: its result is the definition's output."""

    __slots__ = ("_load",)

    def __init__(self, handle: TaskHandle, load: Callable[[Any], Out]) -> None:
        super().__init__(handle._client, handle.id, handle.deduplicated)
        self._load = load

    async def result(self, timeout: Duration | None = None) -> Out:
        """As `TaskHandle.result`; raises UnexpectedResult if the result is not what the definition says."""
        return self._load(await super().result(timeout))
