"""Tasks that run while something is killed, and must not notice."""

import asyncio
from typing import Self

from taskyard import Client, Task, TaskHandle, TaskRequest, TaskState
from tests.e2e.eventually import eventually


class LongTasks:
    """A number of `demo.sleep` tasks."""

    def __init__(self, handles: list[TaskHandle]) -> None:
        self._handles = handles

    @classmethod
    async def start(cls, client: Client, *, count: int, seconds: float) -> Self:
        """Submits them and waits until all run."""
        request = TaskRequest("demo.sleep", {"seconds": seconds})
        outcomes = await client.submit_many([request] * count)
        tasks = cls([outcome for outcome in outcomes if isinstance(outcome, TaskHandle)])
        assert len(tasks.ids) == count, outcomes

        async def all_run() -> bool:
            return all(task.state is TaskState.RUNNING for task in await tasks.tasks())

        await eventually(all_run, within=10)
        return tasks

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [handle.id for handle in self._handles]

    async def tasks(self) -> list[Task]:
        """All of them as they are now."""
        return list(await asyncio.gather(*(handle.get() for handle in self._handles)))

    async def ended(self, within: float) -> None:
        """Waits until all have succeeded."""
        async with asyncio.timeout(within):
            await asyncio.gather(*(handle.result() for handle in self._handles))
