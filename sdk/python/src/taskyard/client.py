"""The asynchronous client: submit tasks, wait for them, look after them."""

import asyncio
import builtins
import os
import uuid
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self, Unpack

from taskyard import _batches, _messages, _specs, _tracing
from taskyard._addresses import parse_addresses
from taskyard._batches import Accepted
from taskyard._calls import Calls
from taskyard._channel import DEFAULT_ADDRESS, DEFAULT_PORT, Schedulers, Tls
from taskyard._coalescing import Coalescer
from taskyard._gen import cluster_service_pb2, queue_service_pb2, task_service_pb2
from taskyard._gen.task_pb2 import TaskSpec
from taskyard._status import TOO_LARGE
from taskyard._watching import Watcher
from taskyard.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ServerError,
    TaskCancelled,
    TaskExpired,
    TaskFailed,
    TaskyardError,
)
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

_ATTEMPTS = 200
"""Runs of a task that are fetched at a time."""
_UNSUCCESSFUL = {
    TaskState.FAILED: TaskFailed,
    TaskState.CANCELLED: TaskCancelled,
    TaskState.EXPIRED: TaskExpired,
}


def result_of(task: Task) -> Any:
    """The result of a task that is over; raises TaskFailed, TaskCancelled or TaskExpired where there is none."""
    if unsuccessful := _UNSUCCESSFUL.get(task.state):
        raise unsuccessful(task)
    return task.result


class Client:
    """Talks to a Taskyard cluster. Use it as `async with Client() as client:`.

    It belongs to the process and the event loop of its first call, and says so when it is used in another one.

    Every method raises a `TaskyardError`. Calls that don't reach a scheduler are retried until `time_limit`, and so
    are calls whose answer is lost if doing them twice does no harm. A submit without an idempotency key is not such a
    call: when its answer is lost it raises `Unavailable` with `outcome_unknown` true. Give a key, or set
    `generate_keys`, to have it retried.

    Args:
        address: `host:port` of a scheduler, or several separated by commas, of which one is used until it is away.
            Default: TASKYARD_ADDRESS, else localhost:7070.
        namespace: default TASKYARD_NAMESPACE, else "default".
        tls: default: what TASKYARD_TLS, TASKYARD_TLS_CA … say; without them no TLS.
        time_limit: how long one call may take with its retries; seconds or timedelta. Waiting for results isn't
            bound by it.
        generate_keys: give every submit that has no idempotency key one of its own. Costs the server a row each.
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
        addresses = parse_addresses(
            address or os.environ.get("TASKYARD_ADDRESS") or DEFAULT_ADDRESS, port=DEFAULT_PORT, field="address"
        )
        self.namespace = _specs.text("namespace", namespace or os.environ.get("TASKYARD_NAMESPACE") or "default")
        self._schedulers = Schedulers(addresses, Tls.chosen(tls))
        self._calls = Calls(self._schedulers, _specs.seconds("time_limit", time_limit))
        self._coalescer = Coalescer(self._calls)
        self._watcher = Watcher(self._calls)
        self._generate_keys = generate_keys

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what is still on its way with Unavailable, and close the connections."""
        home = self._schedulers.home
        if home.used and not home.elsewhere:
            home.enter()
            self._coalescer.close()
            self._watcher.close()
        await self._schedulers.close()

    async def _disconnect(self) -> None:
        """Close the connections while nothing is under way; the next call opens new ones."""
        await self._schedulers.disconnect()

    async def submit(self, type: str, payload: Any = None, **options: Unpack[TaskOptions]) -> TaskHandle:
        """Hand over one task; when this returns, it is durable. See `TaskOptions` for the options.

        `type` names the handler, `payload` is any JSON-able value. Submits made at the same time travel in one call.
        Cancelled before the task was sent, it is never sent; cancelled later, the outcome is unknown.
        Raises InvalidArgument naming the field, IdempotencyConflict, BacklogFull, Unavailable …
        """
        spec = self._spec(TaskRequest(type, payload, **options), _tracing.traceparent())
        accepted = await self._coalescer.submit(spec)
        return TaskHandle(self, accepted.id, accepted.deduplicated)

    async def submit_many(self, requests: Iterable[TaskRequest]) -> builtins.list[TaskHandle | TaskyardError]:
        """Hand over any number of tasks, in as many calls as it takes; one outcome for each, in order.

        It raises nothing for single tasks: the outcome of one that was refused, or whose call failed, is its error.
        """
        traceparent = _tracing.traceparent()
        specs = (self._spec_or_error(request, traceparent) for request in requests)
        outcomes = await _batches.submit_all(self._calls, specs)
        return [
            TaskHandle(self, outcome.id, outcome.deduplicated) if isinstance(outcome, Accepted) else outcome
            for outcome in outcomes
        ]

    async def get(self, id: str) -> Task:
        """The task as it is now; raises NotFound."""
        request = task_service_pb2.GetTaskRequest(id=_specs.task_id(id))
        return _messages.task(await self._calls.ask(lambda at, limit: at.tasks.GetTask(request, timeout=limit)))

    def handle(self, id: str) -> TaskHandle:
        """A handle on a task submitted earlier or elsewhere; asks nothing of the server."""
        return TaskHandle(self, _specs.task_id(id))

    async def result(self, id: str, timeout: Duration | None = None) -> Any:
        """What the task's handler returned, once it is over; see `TaskHandle.result`."""
        return result_of(await self.wait(id, timeout))

    async def wait(self, id: str, timeout: Duration | None = None) -> Task:
        """The task once it is over, however it ended; raises DeadlineExceeded when `timeout` (seconds) is up first."""
        id = _specs.task_id(id)
        limit = None if timeout is None else _specs.seconds("timeout", timeout)
        try:
            async with asyncio.timeout(limit):
                return _messages.task(await self._watcher.ended(id))
        except TaskyardError:
            raise
        except TimeoutError as error:
            raise DeadlineExceeded(f"task {id} was not over within {limit:g} s; it goes on") from error

    async def list(self, filter: TaskFilter | None = None, *, page_size: int = 100) -> AsyncIterator[Task]:
        """All tasks of the namespace that fit, newest first, fetched at most `page_size` (1 to 1000) at a time."""
        request = task_service_pb2.ListTasksRequest(
            filter=_specs.task_filter(filter or TaskFilter(), self.namespace),
            page_size=_specs.at_least_one("page_size", page_size),
        )
        more = True
        while more:
            page = await self._page(request)
            for message in page.tasks:
                yield _messages.task(message)
            request.page_token = page.next_page_token
            more = bool(page.next_page_token)

    async def _page(self, request: task_service_pb2.ListTasksRequest) -> task_service_pb2.ListTasksResponse:
        while True:
            try:
                return await self._calls.ask(lambda at, limit: at.tasks.ListTasks(request, timeout=limit))
            except ServerError as error:
                # Pages are counted in tasks, messages limited in bytes: a few tasks fit always.
                if error.reason != TOO_LARGE or request.page_size == 1:
                    raise
                request.page_size //= 2

    async def cancel(self, id: str) -> Task:
        """Cancel a task that hasn't started, ask one that runs to stop; one that is over stays as it is.

        Answers with the task as it then is: the handler of a running one may still finish.
        """
        request = task_service_pb2.CancelTaskRequest(id=_specs.task_id(id))
        return _messages.task(await self._calls.call(lambda at, limit: at.tasks.CancelTask(request, timeout=limit)))

    async def redrive(self, id: str) -> Task:
        """Queue a FAILED task again with fresh budgets; raises FailedPrecondition in any other state."""
        request = task_service_pb2.RedriveTaskRequest(id=_specs.task_id(id))
        return _messages.task(
            await self._calls.call(lambda at, limit: at.tasks.RedriveTask(request, timeout=limit), repeatable=False)
        )

    async def redrive_many(
        self, filter: TaskFilter | None = None, *, limit: int = 1000, dry_run: bool = False
    ) -> Affected:
        """Queue FAILED tasks that fit again, at most `limit` (1 to 10000); a dry run only counts."""
        request = task_service_pb2.RedriveTasksRequest(
            filter=_specs.task_filter(filter or TaskFilter(), self.namespace),
            limit=_specs.at_least_one("limit", limit),
            dry_run=dry_run,
        )
        answer = await self._calls.call(
            lambda at, seconds: at.tasks.RedriveTasks(request, timeout=seconds), repeatable=dry_run
        )
        return Affected(answer.count, tuple(answer.ids))

    async def purge_many(
        self, filter: TaskFilter | None = None, *, limit: int = 1000, dry_run: bool = False
    ) -> Affected:
        """Delete FAILED tasks that fit, at most `limit` (1 to 10000); a dry run only counts."""
        request = task_service_pb2.PurgeTasksRequest(
            filter=_specs.task_filter(filter or TaskFilter(), self.namespace),
            limit=_specs.at_least_one("limit", limit),
            dry_run=dry_run,
        )
        answer = await self._calls.call(
            lambda at, seconds: at.tasks.PurgeTasks(request, timeout=seconds), repeatable=dry_run
        )
        return Affected(answer.count, tuple(answer.ids))

    async def attempts(self, id: str) -> tuple[Attempt, ...]:
        """All of the task's runs, oldest first, in as many calls as it takes."""
        request = task_service_pb2.ListAttemptsRequest(task_id=_specs.task_id(id), page_size=_ATTEMPTS)
        found: builtins.list[Attempt] = []
        more = True
        while more:
            page = await self._calls.ask(lambda at, limit: at.tasks.ListAttempts(request, timeout=limit))
            found += map(_messages.attempt, page.attempts)
            request.page_token = page.next_page_token
            more = bool(page.next_page_token)
        return tuple(found)

    async def queues(self) -> tuple[Queue, ...]:
        """The namespace's queues."""
        request = queue_service_pb2.ListQueuesRequest(namespace=self.namespace)
        found: list[Queue] = []
        while True:
            page = await self._calls.ask(lambda at, limit: at.queues.ListQueues(request, timeout=limit))
            found += map(_messages.queue, page.queues)
            if not page.next_page_token:
                return tuple(found)
            request.page_token = page.next_page_token

    async def workers(self) -> tuple[WorkerInfo, ...]:
        """The namespace's connected workers, by name, in as many calls as it takes."""
        request = cluster_service_pb2.ListWorkersRequest(namespace=self.namespace)
        found: builtins.list[WorkerInfo] = []
        while True:
            page = await self._calls.ask(lambda at, limit: at.cluster.ListWorkers(request, timeout=limit))
            found += map(_messages.worker, page.workers)
            if not page.next_page_token:
                return tuple(found)
            request.page_token = page.next_page_token

    async def cluster(self) -> Cluster:
        """The cluster's version, leader and dispatchers."""
        request = cluster_service_pb2.GetClusterRequest()
        return _messages.cluster(await self._calls.ask(lambda at, limit: at.cluster.GetCluster(request, timeout=limit)))

    def _spec(self, request: TaskRequest, traceparent: str) -> TaskSpec:
        spec = _specs.task_spec(request, self.namespace, traceparent)
        if self._generate_keys and not spec.idempotency_key:
            spec.idempotency_key = f"sdk-{uuid.uuid4()}"
        return spec

    def _spec_or_error(self, request: TaskRequest, traceparent: str) -> TaskSpec | TaskyardError:
        try:
            return self._spec(request, traceparent)
        except TaskyardError as error:
            return error
        except Exception as error:  # of the value's own code: it is not the other tasks' fault
            return InvalidArgument(f"the task can't be sent: {type(error).__name__}: {error}")
