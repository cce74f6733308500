"""Telling those who wait that their tasks may have ended."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from taskyard_core.domain import limits
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.tasks import StoredTasks
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.census import Census

_log = logging.getLogger(__name__)

_PERIOD_SECONDS = 1.0
_LOOK_TASKS = 10_000


class Watcher:
    """What one caller waits for. It holds ids only: who is slow to take tasks shall not keep them here."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._some = asyncio.Event()
        self._closed = False

    def tell(self, task_id: str) -> None:
        """One more may be over."""
        self._ended.add(task_id)
        self._some.set()

    def close(self) -> None:
        """Nothing more will be told."""
        self._closed = True
        self._some.set()

    async def next(self) -> set[str]:
        """All that may have ended since the last call, at least one; raises Failure when this process shuts down."""
        await self._some.wait()
        if self._closed:
            raise failures.shutting_down()
        self._some.clear()
        ended, self._ended = self._ended, set()
        return ended


class Waits:
    """All callers that wait for tasks to end.

    Hints say at once which tasks may have ended, and a look at Postgres each second says it again.
    """

    def __init__(self, stored: StoredTasks, clock: Clock) -> None:
        self._stored = stored
        self._clock = clock
        self._period = _PERIOD_SECONDS
        self._watchers: dict[str, set[Watcher]] = {}
        self.calls = Census(limits.WAITS, limits.WAITS_EACH, "too many calls wait here at once")
        self.tasks = Census(limits.WAITED_TASKS, limits.WAITED_TASKS_EACH, "too many tasks are waited for here at once")
        self._closed = False

    @property
    def anyone(self) -> bool:
        """Whether there is anybody who waits."""
        return bool(self._watchers)

    @contextmanager
    def watching(self, ids: Iterable[str], caller: str) -> Iterator[Watcher]:
        """A watcher of the tasks for as long as the block runs. Look at the tasks once inside, not before.

        Raises Failure where too many wait, or too many for that caller.
        """
        if self._closed:
            raise failures.shutting_down()
        watcher, mine = Watcher(), set(ids)
        with self.calls.counted(caller), self.tasks.counted(caller, len(mine)):
            for task_id in mine:
                self._watchers.setdefault(task_id, set()).add(watcher)
            try:
                yield watcher
            finally:
                for task_id in mine:
                    self._forget(task_id, watcher)

    def finished(self, ids: Iterable[str]) -> None:
        """A hint that the tasks have ended."""
        for task_id in self._watchers.keys() & set(ids):
            for watcher in self._watchers[task_id]:
                watcher.tell(task_id)

    def close(self) -> None:
        """Send all watchers away: their callers may ask another scheduler."""
        self._closed = True
        for watcher in {watcher for watchers in self._watchers.values() for watcher in watchers}:
            watcher.close()

    async def run(self) -> None:
        """Serve the watchers until cancelled."""
        while True:
            await self._clock.sleep(self._period)
            try:
                await self._look()
            except StoreUnavailable as error:
                # The watchers stay; their callers give up in their own time.
                _log.warning("waiting tasks were not looked at: %s", error)

    async def _look(self) -> None:
        waited = list(self._watchers)
        for start in range(0, len(waited), _LOOK_TASKS):
            ids = waited[start : start + _LOOK_TASKS]
            states = await self._stored.states(ids)
            self.finished(i for i in ids if i not in states or states[i].terminal)

    def _forget(self, task_id: str, watcher: Watcher) -> None:
        watchers = self._watchers[task_id]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[task_id]
