"""Telling those who wait that their tasks have ended."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from scheduler.api import failures
from scheduler.domain.task import Task
from scheduler.storage.tasks import StoredTasks
from scheduler.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

_PERIOD_SECONDS = 1.0
_READ_TASKS = 100
"""Tasks read at once: payload and result of each may be large."""
_LOOK_TASKS = 10_000

Ended = tuple[str, Task | None]
"""Id of a task that is over, and the task; None if it has been purged."""


class Watcher:
    """What one caller waits for."""

    def __init__(self) -> None:
        self._ended: list[Ended] = []
        self._some = asyncio.Event()
        self._closed = False

    def tell(self, ended: Ended) -> None:
        """One more is over."""
        self._ended.append(ended)
        self._some.set()

    def close(self) -> None:
        """Nothing more will be told."""
        self._closed = True
        self._some.set()

    async def next(self) -> list[Ended]:
        """All that ended since the last call, at least one; raises Failure when this process shuts down."""
        await self._some.wait()
        if self._closed:
            raise failures.shutting_down()
        self._some.clear()
        ended, self._ended = self._ended, []
        return ended


class Waits:
    """All callers that wait for tasks to end.

    Hints say at once which tasks may have ended; Postgres is asked whether it is so, each second also without hints.
    """

    def __init__(self, stored: StoredTasks, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stored = stored
        self._clock = clock
        self._period = _PERIOD_SECONDS
        self._watchers: dict[str, set[Watcher]] = {}
        self._hinted: set[str] = set()
        self._wake = asyncio.Event()
        self._closed = False

    @property
    def anyone(self) -> bool:
        """Whether there is anybody who waits."""
        return bool(self._watchers)

    @contextmanager
    def watching(self, ids: Iterable[str]) -> Iterator[Watcher]:
        """A watcher of the tasks for as long as the block runs. Look at the tasks once inside, not before."""
        if self._closed:
            raise failures.shutting_down()
        watcher, mine = Watcher(), set(ids)
        for task_id in mine:
            self._watchers.setdefault(task_id, set()).add(watcher)
        try:
            yield watcher
        finally:
            for task_id in mine:
                self._forget(task_id, watcher)

    def finished(self, ids: Iterable[str]) -> None:
        """A hint that the tasks have ended."""
        if wanted := self._watchers.keys() & set(ids):
            self._hinted |= wanted
            self._wake.set()

    def close(self) -> None:
        """Send all watchers away: their callers may ask another scheduler."""
        self._closed = True
        for watcher in {watcher for watchers in self._watchers.values() for watcher in watchers}:
            watcher.close()

    async def run(self) -> None:
        """Serve the watchers until cancelled."""
        poll_at = self._clock() + self._period
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(poll_at - self._clock()):
                    await self._wake.wait()
            try:
                await self._look_at_hinted()
                if self._clock() >= poll_at:
                    poll_at = self._clock() + self._period
                    await self._look_at_all()
            except StoreUnavailable as error:
                # The watchers stay; their callers give up in their own time.
                _log.warning("waiting tasks were not looked at: %s", error)

    async def _look_at_hinted(self) -> None:
        self._wake.clear()
        hinted, self._hinted = self._hinted, set()
        await self._tell(list(hinted), gone=False)

    async def _look_at_all(self) -> None:
        waited = list(self._watchers)
        for start in range(0, len(waited), _LOOK_TASKS):
            ids = waited[start : start + _LOOK_TASKS]
            states = await self._stored.states(ids)
            await self._tell([i for i in ids if i not in states or states[i].terminal], gone=True)

    async def _tell(self, ids: Sequence[str], *, gone: bool) -> None:
        for start in range(0, len(ids), _READ_TASKS):
            some = ids[start : start + _READ_TASKS]
            found = await self._stored.get_many(some)
            for task_id in some:
                task = found.get(task_id)
                if task.state.terminal if task else gone:
                    self._deliver(task_id, task)

    def _deliver(self, task_id: str, task: Task | None) -> None:
        for watcher in self._watchers.pop(task_id, ()):
            watcher.tell((task_id, task))

    def _forget(self, task_id: str, watcher: Watcher) -> None:
        watchers = self._watchers.get(task_id)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self._watchers[task_id]
