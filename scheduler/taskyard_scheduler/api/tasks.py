"""Tasks: everything a client can ask about them after they were submitted."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.domain import transitions
from taskyard_core.domain.task import Attempt, Task, TaskState
from taskyard_core.domain.transitions import IllegalTransition, Transition
from taskyard_core.runtime.batcher import Batcher
from taskyard_core.storage.changes import Applied, Changes
from taskyard_core.storage.hints import Hints
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.tasks import PAGE_BYTES, Decidable, StoredTasks, TaskFilter, within_weight
from taskyard_core.storage.transaction import Transactions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_scheduler.api import failures, filters
from taskyard_scheduler.api.filters import Page
from taskyard_scheduler.api.traffic import Direction
from taskyard_scheduler.api.waits import Waits

_log = logging.getLogger(__name__)

_TRIES = 10
_READ_TASKS = 100
_STATES = 1000
_FEW_TASKS = 2
"""So few are read without asking first how large they are."""
_PORTION_BYTES = 512 * 1024
"""What the tasks that one watcher is told of at once weigh, unless one of them is larger."""
_ONE_BYTES = 128 * 1024
"""What a task counts before its size is known; most are smaller."""
_NAMED_IDS = 100
"""How many ids a bulk operation's answer names."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """How many tasks it concerned, and the first of their ids."""

    count: int
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """Tasks as they are now, and ids that no task has."""

    tasks: list[Task]
    unknown_ids: list[str]


class Tasks:
    """Verbs on tasks. Every method raises Failure, or StoreUnavailable.

    `listed` and `bulk` are where lists and what is done to many tasks at once have connections of their own.
    """

    def __init__(
        self,
        *,
        bulk: Transactions,
        stored: StoredTasks,
        listed: StoredTasks,
        changes: Changes,
        aftermath: Aftermath,
        waits: Waits,
        hints: Hints,
        leaving: Direction,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._bulk = bulk
        self._stored = stored
        self._listed = listed
        self._changes = changes
        self._aftermath = aftermath
        self._waits = waits
        self._hints = hints
        self._leaving = leaving
        self._draw = draw
        self._reads = Batcher(self._read, size=_READ_TASKS, parallel=2)
        self._states = Batcher(self._over, size=_STATES, parallel=2)

    async def get(self, task_id: str, caller: str = "") -> Task:
        """The task as it is now. Here and below, `caller` is the connection that the answer goes to."""
        async with self._leaving.room(caller, _ONE_BYTES):
            task: Task | None = (await self._reads.add([task_id]))[0]
        if task is None:
            raise failures.no_task(task_id)
        return task

    async def page(self, wanted: TaskFilter, size: int, token: str, caller: str = "") -> Page[Task]:
        """A page of tasks, newest first; `token` is the page before's, or empty."""
        size, after = filters.page_size(size), filters.after(wanted, token)
        async with self._leaving.room(caller, PAGE_BYTES):
            tasks, last = await self._listed.page(wanted, size, after)
        return Page(tasks, filters.page_token(wanted, last) if last else "")

    async def attempts(self, task_id: str, size: int, token: str) -> Page[Attempt]:
        """A page of the task's runs, oldest first; `token` is the page before's, or empty."""
        size = filters.page_size(size)
        found, last = await self._stored.attempts(task_id, size, filters.attempts_after(task_id, token))
        if not found:
            await self.get(task_id)
        return Page(found, filters.attempts_token(task_id, last) if last else "")

    async def wait(self, task_id: str, seconds: float, caller: str = "", kind: str = "") -> Task:
        """The task once it is terminal, or as it is when the time is up. `kind` is whom the wait counts for."""
        deadline = asyncio.get_running_loop().time() + seconds
        with self._waits.watching([task_id], kind or caller) as watcher, suppress(TimeoutError):
            # The task itself, which may be large, is read once it is to be shown.
            while seconds and not (await self._states.add([task_id]))[0]:
                async with asyncio.timeout_at(deadline):
                    await watcher.next()
        return await self.get(task_id, caller)

    async def watch(self, ids: Sequence[str], caller: str = "") -> AsyncIterator[Seen]:
        """Each task as it is now, and once more when it has become terminal; ends when all are."""
        with self._waits.watching(ids, caller) as watcher:
            waited: set[str] = set()
            async for seen in self._portions(list(dict.fromkeys(ids)), caller):
                waited |= {task.id for task in seen.tasks if not task.state.terminal}
                yield seen
            while waited:
                told = list(waited & await watcher.next())
                async for seen in self._portions(told, caller):
                    ended = [task for task in seen.tasks if task.state.terminal]
                    waited -= {task.id for task in ended}.union(seen.unknown_ids)
                    if ended or seen.unknown_ids:
                        yield Seen(ended, seen.unknown_ids)

    async def cancel(self, task_id: str, caller: str = "") -> Task:
        """Cancel a task that waits, ask one that runs to stop; the answer tells which happened.

        Fails where it has ended in another way; cancelling a CANCELLED task again changes nothing.
        """
        for _ in range(_TRIES):
            task = await self._decidable(task_id)
            state = task.snapshot.state
            if state is TaskState.CANCELLED:
                return await self.get(task_id, caller)
            if state.terminal:
                raise failures.wrong_state(task_id, state, "it has ended and cannot be cancelled")
            if await (self._ask_to_stop(task_id) if state is TaskState.RUNNING else self._cancel_waiting(task)):
                return await self.get(task_id, caller)
        raise _restless(task_id)

    async def redrive(self, task_id: str, caller: str = "") -> Task:
        """Queue a FAILED task again with fresh budgets."""
        for _ in range(_TRIES):
            task = await self._decidable(task_id)
            try:
                decided = transitions.decide(task.snapshot, transitions.Redriven(), self._draw)
            except IllegalTransition:
                state = task.snapshot.state
                raise failures.wrong_state(task_id, state, "only a FAILED task can be redriven") from None
            if await self._changed(decided):
                return await self.get(task_id, caller)
        raise _restless(task_id)

    async def redrive_many(self, wanted: TaskFilter, limit: int, *, dry_run: bool) -> Bulk:
        """Queue FAILED tasks that fit again, oldest first; a dry run only counts."""
        limit = filters.bulk_limit(limit)
        if dry_run:
            return _bulk(await self._listed.find_failed(wanted, limit))

        async def once() -> Applied:
            async with self._bulk.transaction() as transaction:
                failed = await transaction.lock_failed(wanted, limit)
                decided = [transitions.decide(task.snapshot, transitions.Redriven(), self._draw) for task in failed]
                return await transaction.apply(decided)

        applied = await retried(once)
        self._aftermath.committed(applied)
        return _bulk([change.transition.id for change in applied.moved])

    async def purge_many(self, wanted: TaskFilter, limit: int, *, dry_run: bool) -> Bulk:
        """Delete FAILED tasks that fit, oldest first; a dry run only counts."""
        limit = filters.bulk_limit(limit)
        if dry_run:
            return _bulk(await self._listed.find_failed(wanted, limit))

        async def once() -> list[str]:
            async with self._bulk.transaction() as transaction:
                ids = [task.snapshot.id for task in await transaction.lock_failed(wanted, limit)]
                await transaction.purge(ids)
                return ids

        return _bulk(await retried(once))

    async def _portions(self, ids: Sequence[str], caller: str) -> AsyncIterator[Seen]:
        """The tasks as they are now, no more at once than one message carries."""
        few = len(ids) <= _FEW_TASKS
        weights = dict.fromkeys(ids, _ONE_BYTES) if few else await self._stored.weights(ids)
        if unknown := [i for i in ids if i not in weights]:
            yield Seen([], unknown)
        left = [(i, weights[i]) for i in ids if i in weights]
        while left:
            some = within_weight(left, _PORTION_BYTES)
            size = sum(weight for _, weight in left[: len(some)])
            del left[: len(some)]
            yield await self._portion(some, size, caller)

    async def _portion(self, ids: Sequence[str], size: int, caller: str) -> Seen:
        async with self._leaving.room(caller, size):
            found = await self._stored.get_many(ids)
        return Seen([found[i] for i in ids if i in found], [i for i in ids if i not in found])

    async def _over(self, ids: list[str]) -> list[bool]:
        """Whether each of the tasks has ended, or is not there."""
        states = await self._stored.states(list(set(ids)))
        return [task_id not in states or states[task_id].terminal for task_id in ids]

    async def _read(self, ids: list[str]) -> list[Task | None]:
        found = await self._stored.get_many(list(set(ids)))
        return [found.get(task_id) for task_id in ids]

    async def _decidable(self, task_id: str) -> Decidable:
        task = await self._stored.decidable(task_id)
        if task is None:
            raise failures.no_task(task_id)
        return task

    async def _cancel_waiting(self, task: Decidable) -> bool:
        return await self._changed(transitions.decide(task.snapshot, transitions.Cancelled(), self._draw))

    async def _changed(self, decided: Transition) -> bool:
        """Whether the transition took place."""
        applied = await self._changes.apply([decided])
        self._aftermath.committed(applied)
        return applied.changes[0] is not None

    async def _ask_to_stop(self, task_id: str) -> bool:
        if not await self._changes.request_cancel([task_id]):
            return False
        try:
            await self._hints.cancel_requested([task_id])
        except StoreUnavailable as error:
            # The flag is set: the task cannot be retried or requeued any more, it just stops no sooner.
            _log.warning("a running task was not told of its cancel: %s", error)
        return True


def _bulk(ids: list[str]) -> Bulk:
    return Bulk(len(ids), ids[:_NAMED_IDS])


def _restless(task_id: str) -> failures.Failure:
    message = f"task {task_id} keeps changing its state, try again"
    return failures.Failure(failures.Reason.UNAVAILABLE, message, retry_after=0.1)
