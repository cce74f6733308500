"""The blocking client: the same verbs as `Client`, for code without an event loop."""

import asyncio
import builtins
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

from taskyard._channel import Tls
from taskyard._home import forked, sleeps
from taskyard.client import Client
from taskyard.errors import TaskyardError
from taskyard.handle import TaskHandle
from taskyard.models import (
    Affected,
    Attempt,
    Cluster,
    Duration,
    Queue,
    Task,
    TaskFilter,
    TaskOptions,
    TaskRequest,
    TaskState,
    WorkerInfo,
)

T = TypeVar("T")
Out = TypeVar("Out")


class SyncClient:
    """A `Client` on an event loop in a thread of its own; see there for arguments and errors.

    Any number of threads may use one at the same time; what they submit meanwhile travels together. It may cross a
    fork: while it has no call under way it closes its connections before, and each process opens its own at its next
    call.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        namespace: str | None = None,
        tls: Tls | None = None,
        time_limit: Duration = 30.0,
        generate_keys: bool = False,
    ) -> None:
        self._client = Client(address, namespace=namespace, tls=tls, time_limit=time_limit, generate_keys=generate_keys)
        self._lock = threading.Lock()
        self._engine: _Engine | None = None
        self._calls = 0
        self._closed = False
        sleeps(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the client and end its thread; a second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # Without a call there is nothing to close, and what the process was forked with is the other one's.
        if self._engine is not None and self._engine.here:
            self._engine.run(self._client.close())
            self._engine.stop()

    def _lie_down(self) -> None:
        """Before a fork: close connections if no call is under way."""
        self._lock.acquire()
        if self._engine is not None and self._engine.here and not self._calls and not self._closed:
            self._engine.run(self._client._disconnect())
            self._engine.stop()
            self._engine = None

    def _get_up(self) -> None:
        """After a fork, in both processes."""
        self._lock.release()

    def submit(self, type: str, payload: Any = None, **options: Unpack[TaskOptions]) -> "SyncTaskHandle":
        """Hand over one task; see `Client.submit`."""
        return SyncTaskHandle(self, self._run(self._client.submit(type, payload, **options)))

    def submit_many(self, requests: Iterable[TaskRequest]) -> builtins.list["SyncTaskHandle | TaskyardError"]:
        """Hand over any number of tasks; see `Client.submit_many`."""
        outcomes = self._run(self._client.submit_many(requests))
        return [SyncTaskHandle(self, outcome) if isinstance(outcome, TaskHandle) else outcome for outcome in outcomes]

    def get(self, id: str) -> Task:
        """The task as it is now; see `Client.get`."""
        return self._run(self._client.get(id))

    def handle(self, id: str) -> "SyncTaskHandle":
        """A handle on a task submitted earlier or elsewhere."""
        return SyncTaskHandle(self, self._client.handle(id))

    def result(self, id: str, timeout: Duration | None = None) -> Any:
        """What the task's handler returned, once it is over; see `TaskHandle.result`."""
        return self._run(self._client.result(id, timeout))

    def wait(self, id: str, timeout: Duration | None = None) -> Task:
        """The task once it is over, however it ended; see `Client.wait`."""
        return self._run(self._client.wait(id, timeout))

    def list(self, filter: TaskFilter | None = None, *, page_size: int = 100) -> Iterator[Task]:
        """All tasks of the namespace that fit, newest first; see `Client.list`."""
        tasks = self._client.list(filter, page_size=page_size)

        async def following() -> Task | None:
            return await anext(tasks, None)

        while (task := self._run(following())) is not None:
            yield task

    def cancel(self, id: str) -> Task:
        """Cancel a task; see `Client.cancel`."""
        return self._run(self._client.cancel(id))

    def redrive(self, id: str) -> Task:
        """Queue a FAILED task again; see `Client.redrive`."""
        return self._run(self._client.redrive(id))

    def redrive_many(self, filter: TaskFilter | None = None, *, limit: int = 1000, dry_run: bool = False) -> Affected:
        """Queue FAILED tasks that fit again; see `Client.redrive_many`."""
        return self._run(self._client.redrive_many(filter, limit=limit, dry_run=dry_run))

    def purge_many(self, filter: TaskFilter | None = None, *, limit: int = 1000, dry_run: bool = False) -> Affected:
        """Delete FAILED tasks that fit; see `Client.purge_many`."""
        return self._run(self._client.purge_many(filter, limit=limit, dry_run=dry_run))

    def attempts(self, id: str) -> tuple[Attempt, ...]:
        """The task's runs, oldest first."""
        return self._run(self._client.attempts(id))

    def queues(self) -> tuple[Queue, ...]:
        """The namespace's queues."""
        return self._run(self._client.queues())

    def workers(self) -> tuple[WorkerInfo, ...]:
        """The namespace's connected workers."""
        return self._run(self._client.workers())

    def cluster(self) -> Cluster:
        """The cluster's version, leader and dispatchers."""
        return self._run(self._client.cluster())

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            try:
                engine = self._started()
            except BaseException:
                call.close()
                raise
            self._calls += 1
        try:
            return engine.run(call)
        finally:
            with self._lock:
                self._calls -= 1

    def _started(self) -> "_Engine":
        """The client's own thread, started by its first call. Under the lock."""
        if self._closed:
            raise RuntimeError("the client is closed")
        if self._engine is None:
            self._engine = _Engine()
        if not self._engine.here:
            raise forked("this client was used while this process was forked")
        return self._engine


class _Engine:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="taskyard-client", daemon=True)
        self._thread.start()

    @property
    def here(self) -> bool:
        """Whether its thread is one of this process."""
        return self._process == os.getpid()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call in the thread and wait for it."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C reaches the waiting thread only; the call must not go on without it.
            future.cancel()
            raise

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncTaskHandle:
    """A durable task; see `TaskHandle`."""

    __slots__ = ("_client", "_handle")

    def __init__(self, client: SyncClient, handle: TaskHandle) -> None:
        self._client = client
        self._handle = handle

    def __repr__(self) -> str:
        return f"SyncTaskHandle({self.id!r})"

    @property
    def id(self) -> str:
        """The task's id."""
        return self._handle.id

    @property
    def deduplicated(self) -> bool:
        """Whether the idempotency key was known, so that this is the task submitted first."""
        return self._handle.deduplicated

    def result(self, timeout: Duration | None = None) -> Any:
        """What the handler returned, once the task is over; see `TaskHandle.result`."""
        return self._client.result(self.id, timeout)

    def get(self) -> Task:
        """The task as it is now."""
        return self._client.get(self.id)

    def state(self) -> TaskState:
        """Where the task stands now."""
        return self.get().state

    def cancel(self) -> Task:
        """Cancel the task; see `Client.cancel`."""
        return self._client.cancel(self.id)


class SyncTypedHandle(SyncTaskHandle, Generic[Out]):
    """A durable task that was submitted by a definition; see `TypedHandle`."""

    __slots__ = ("_load",)

    def __init__(self, handle: SyncTaskHandle, load: Callable[[Any], Out]) -> None:
        super().__init__(handle._client, handle._handle)
        self._load = load

    def result(self, timeout: Duration | None = None) -> Out:
        """What the handler returned, once the task is over; see `TypedHandle.result`."""
        return self._load(super().result(timeout))
