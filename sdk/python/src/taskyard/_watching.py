"""Waiting for many tasks to end over few streams.

Waits that begin in the same turn of the event loop share one WatchTasks stream. A stream's tasks are fixed when it
opens, so later waits need new streams; when there are many, the smaller half is merged into the next one.
"""

import asyncio
import copy
import re
from collections.abc import Iterable, Sequence

import grpc
from tenacity import AsyncRetrying, retry_if_exception_type

from taskyard import _messages
from taskyard._calls import BACKOFF, Calls
from taskyard._gen import task_pb2, task_service_pb2
from taskyard.errors import DeadlineExceeded, FieldViolation, InvalidArgument, NotFound, TaskyardError, Unavailable

MAX_IDS = 1000
STREAMS = 8
HEALTHY_SECONDS = 5.0
"""A stream that lived this long was fine: when it breaks, the next one is opened without waiting."""

_PASSING = (Unavailable, DeadlineExceeded)
"""What ends a stream but not the wait; we set no deadline, but something on the way may."""

_PLACE = re.compile(r"ids\[([0-9]+)\]")

Ended = asyncio.Future[task_pb2.Task]


class _Stream:
    """One WatchTasks stream and the tasks of it that someone still waits for."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = set(ids)
        self.task: asyncio.Task[None] | None = None

    def drop(self, task_id: str) -> None:
        """The task needs no watching any more; without any left the stream is cancelled."""
        self.ids.discard(task_id)
        if not self.ids:
            self.cancel()

    def cancel(self) -> None:
        """End the stream."""
        if self.task is not None:
            self.task.cancel()


class Watcher:
    """Waits for tasks to end, however often connections break."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._waits: dict[str, set[Ended]] = {}
        self._unwatched: dict[str, None] = {}
        self._stream_of: dict[str, _Stream] = {}
        self._streams: set[_Stream] = set()
        self._opening = False

    async def ended(self, task_id: str) -> task_pb2.Task:
        """The task once it is terminal; raises NotFound, or what else the server says about watching it.

        An unavailable cluster is waited for without limit.
        """
        self._calls.schedulers.home.enter()
        loop = asyncio.get_running_loop()
        wait: Ended = loop.create_future()
        if task_id not in self._waits:
            self._waits[task_id] = set()
            self._unwatched[task_id] = None
            self._open_soon(loop)
        self._waits[task_id].add(wait)
        try:
            return await wait
        finally:
            self._forget(task_id, wait)

    def close(self) -> None:
        """Fail all waits and end all streams."""
        for task_id in list(self._waits):
            self._fail(task_id, Unavailable("the client was closed"))
        for stream in list(self._streams):
            stream.cancel()

    def _forget(self, task_id: str, wait: Ended) -> None:
        waits = self._waits.get(task_id)
        if waits is None:
            return
        waits.discard(wait)
        if not waits:
            self._settle(task_id)

    def _settle(self, task_id: str) -> set[Ended]:
        """Stop watching the task; answers who waited for it."""
        self._unwatched.pop(task_id, None)
        if stream := self._stream_of.pop(task_id, None):
            stream.drop(task_id)
        return self._waits.pop(task_id, set())

    def _fail(self, task_id: str, error: TaskyardError) -> None:
        for wait in self._settle(task_id):
            if not wait.done():
                wait.set_exception(copy.copy(error))

    def _fail_named(self, ids: Sequence[str], error: InvalidArgument) -> bool:
        """Fail the ids that the server doesn't take for ids, so that the others on the stream don't suffer."""
        named = [_PLACE.fullmatch(violation.field) for violation in error.violations]
        places = [int(match[1]) for match in named if match]
        for task_id in [ids[place] for place in places if place < len(ids)]:
            description = f"{task_id!r} {error.violations[0].description}"
            self._fail(task_id, InvalidArgument(violations=[FieldViolation("id", description)]))
        return bool(places)

    def _finish(self, task: task_pb2.Task) -> None:
        for wait in self._settle(task.id):
            if not wait.done():
                wait.set_result(task)

    def _open_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._opening:
            self._opening = True
            loop.call_soon(self._open)

    def _open(self) -> None:
        self._opening = False
        if len(self._streams) >= STREAMS:
            self._merge()
        ids = list(self._unwatched)
        self._unwatched.clear()
        for start in range(0, len(ids), MAX_IDS):
            self._start(_Stream(ids[start : start + MAX_IDS]))

    def _merge(self) -> None:
        # The smaller half: so a task moves on only when its stream has doubled, a few times at most.
        for stream in sorted(self._streams, key=lambda stream: len(stream.ids))[: STREAMS // 2]:
            if len(stream.ids) < MAX_IDS // 2:
                self._unwatched.update(dict.fromkeys(stream.ids))
                self._streams.discard(stream)
                stream.cancel()

    def _start(self, stream: _Stream) -> None:
        for task_id in stream.ids:
            self._stream_of[task_id] = stream
        self._streams.add(stream)
        stream.task = asyncio.create_task(self._follow(stream))

    async def _follow(self, stream: _Stream) -> None:
        retrying = AsyncRetrying(retry=retry_if_exception_type(_PASSING), wait=BACKOFF)
        try:
            while stream.ids:
                await retrying(self._read, stream)
        except TaskyardError as error:
            for task_id in list(stream.ids):
                self._fail(task_id, error)
        except Exception as error:
            # Nobody looks at this task: what was not foreseen would leave its waits hanging.
            for task_id in list(stream.ids):
                self._fail(task_id, TaskyardError(f"watching failed: {type(error).__name__}: {error}"))
        finally:
            self._streams.discard(stream)

    async def _read(self, stream: _Stream) -> None:
        """Follow one stream to its end; raises Unavailable if it ended early."""
        loop = asyncio.get_running_loop()
        opened = loop.time()
        scheduler = self._calls.schedulers.current()
        ids = list(stream.ids)
        try:
            async for response in scheduler.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids)):
                self._take(response)
        except grpc.aio.AioRpcError as broken:
            error = self._calls.failure(scheduler, broken)
            if isinstance(error, InvalidArgument) and self._fail_named(ids, error):
                return
            if not isinstance(error, _PASSING) or loop.time() - opened < HEALTHY_SECONDS:
                raise error from broken
        if stream.ids and loop.time() - opened < HEALTHY_SECONDS:
            raise Unavailable("the server ended the watch before its tasks did")

    def _take(self, response: task_service_pb2.WatchTasksResponse) -> None:
        for task in response.tasks:
            if _messages.state(task.state).terminal:
                self._finish(task)
        for task_id in response.unknown_ids:
            self._fail(task_id, NotFound(f"no task {task_id}", reason="NOT_FOUND"))
