"""A scheduler that keeps tasks in a dict, behind real gRPC; tests hold it up, make it fail and look at what it got."""

import asyncio
import itertools
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_status import rpc_status

from taskyard._gen import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)

TERMINAL = {
    task_pb2.TASK_STATE_SUCCEEDED,
    task_pb2.TASK_STATE_FAILED,
    task_pb2.TASK_STATE_CANCELLED,
    task_pb2.TASK_STATE_EXPIRED,
}

Context = grpc.aio.ServicerContext[Message, Message]


def failure(code: grpc.StatusCode, reason: str, message: str = "refused", details: Sequence[Message] = ()) -> Status:
    status = Status(code=code.value[0], message=message)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain="taskyard"), *details):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


class StubScheduler(
    task_service_pb2_grpc.TaskServiceServicer,
    queue_service_pb2_grpc.QueueServiceServicer,
    cluster_service_pb2_grpc.ClusterServiceServicer,
):
    def __init__(self) -> None:
        self.tasks: dict[str, task_pb2.Task] = {}
        self.batches: list[task_service_pb2.SubmitTasksRequest] = []
        self.watched: list[list[str]] = []
        self.purged: list[task_service_pb2.PurgeTasksRequest] = []
        self.pages: list[int] = []
        self.failures: deque[Status] = deque()
        """Each is the answer to one call, instead of doing it."""
        self.lose_answers = 0
        """That many submits are carried out and then answered UNAVAILABLE."""
        self.calls = 0
        self.arrived = asyncio.Semaphore(0)
        """Released at each arriving submit call."""
        self.abandoned = asyncio.Semaphore(0)
        """Released at each submit call that its client cancels."""
        self.watch_opened = asyncio.Semaphore(0)
        self.doors = asyncio.Event()
        """Submits wait here for it to be set."""
        self.doors.set()
        self._numbers = itertools.count(1)
        self._changed = asyncio.Condition()

    async def SubmitTasks(  # noqa: N802
        self, request: task_service_pb2.SubmitTasksRequest, context: Context
    ) -> task_service_pb2.SubmitTasksResponse:
        self.arrived.release()
        try:
            await self.doors.wait()
        except asyncio.CancelledError:
            self.abandoned.release()
            raise
        await self._maybe_fail(context)
        self.batches.append(request)
        results = [self._submit(place, spec) for place, spec in enumerate(request.tasks)]
        if self.lose_answers:
            self.lose_answers -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        return task_service_pb2.SubmitTasksResponse(results=results)

    def _submit(self, place: int, spec: task_pb2.TaskSpec) -> task_service_pb2.SubmitResult:
        if spec.priority > 10:
            field = f"tasks[{place}].priority"
            return _refused("INVALID_ARGUMENT", message=f"{field}: must be 0 to 10", field=field)
        if spec.HasField("delay") and spec.delay.ToSeconds() < 0:
            return _refused("INVALID_ARGUMENT", message="must not be negative", field=f"tasks[{place}].delay")
        if spec.queue == "full":
            error = task_service_pb2.SubmitError(reason="BACKLOG_FULL", message="queue full holds 10 tasks")
            error.retry_after.FromMilliseconds(1500)
            return task_service_pb2.SubmitResult(error=error)
        first = next((task for task in self.tasks.values() if task.idempotency_key == spec.idempotency_key != ""), None)
        if first and first.payload != spec.payload:
            return _refused("IDEMPOTENCY_CONFLICT", message="the key is another task's", task_id=first.id)
        task = first or self.add(spec)
        return task_service_pb2.SubmitResult(
            task=task_pb2.Task(id=task.id, state=task.state), deduplicated=first is not None
        )

    def add(self, spec: task_pb2.TaskSpec) -> task_pb2.Task:
        task = task_pb2.Task(
            id=f"task-{next(self._numbers)}",
            namespace=spec.namespace,
            queue=spec.queue or "default",
            type=spec.type,
            payload=spec.payload,
            priority=spec.priority if spec.HasField("priority") else 5,
            selector=spec.selector,
            state=task_pb2.TASK_STATE_QUEUED,
            idempotency_key=spec.idempotency_key,
            traceparent=spec.traceparent,
        )
        for name in ("run_at", "expires_at", "timeout", "retry"):
            if spec.HasField(name):
                getattr(task, name).CopyFrom(getattr(spec, name))
        task.created_at.GetCurrentTime()
        self.tasks[task.id] = task
        return task

    async def end(
        self, task_id: str, state: task_pb2.TaskState.ValueType = task_pb2.TASK_STATE_SUCCEEDED, result: bytes = b"null"
    ) -> None:
        task = self.tasks[task_id]
        task.state = state
        if state == task_pb2.TASK_STATE_SUCCEEDED:
            task.result = result
        else:
            task.error.CopyFrom(task_pb2.TaskError(type="ValueError", message="no such town", retryable=True))
        async with self._changed:
            self._changed.notify_all()

    async def SubmitTask(  # noqa: N802
        self, request: task_service_pb2.SubmitTaskRequest, context: Context
    ) -> task_service_pb2.SubmitTaskResponse:
        raise NotImplementedError

    async def WaitTask(  # noqa: N802
        self, request: task_service_pb2.WaitTaskRequest, context: Context
    ) -> task_pb2.Task:
        raise NotImplementedError

    async def UpdateQueue(  # noqa: N802
        self, request: queue_service_pb2.UpdateQueueRequest, context: Context
    ) -> queue_service_pb2.Queue:
        raise NotImplementedError

    async def GetTask(self, request: task_service_pb2.GetTaskRequest, context: Context) -> task_pb2.Task:  # noqa: N802
        await self._maybe_fail(context)
        return await self._find(request.id, context)

    async def ListTasks(  # noqa: N802
        self, request: task_service_pb2.ListTasksRequest, context: Context
    ) -> task_service_pb2.ListTasksResponse:
        await self._maybe_fail(context)
        tasks = [task for task in self.tasks.values() if request.filter.state in {0, task.state}]
        self.pages.append(request.page_size)
        start = int(request.page_token or 0)
        end = start + request.page_size
        return task_service_pb2.ListTasksResponse(
            tasks=tasks[start:end], next_page_token=str(end) if end < len(tasks) else ""
        )

    async def WatchTasks(  # noqa: N802
        self, request: task_service_pb2.WatchTasksRequest, context: Context
    ) -> AsyncIterator[task_service_pb2.WatchTasksResponse]:
        self.watched.append(list(request.ids))
        self.watch_opened.release()
        await self._maybe_fail(context)
        for place, task_id in enumerate(request.ids):
            if not re.fullmatch(r"task-\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", task_id):
                violation = error_details_pb2.BadRequest.FieldViolation(field=f"ids[{place}]", description="is no id")
                bad = error_details_pb2.BadRequest(field_violations=[violation])
                await abort(context, failure(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", details=[bad]))
        missing = [task_id for task_id in request.ids if task_id not in self.tasks]
        waiting = {task_id for task_id in request.ids if task_id in self.tasks}
        yield task_service_pb2.WatchTasksResponse(tasks=[self.tasks[i] for i in waiting], unknown_ids=missing)
        while waiting := {task_id for task_id in waiting if self.tasks[task_id].state not in TERMINAL}:
            async with self._changed:
                await self._changed.wait()
            ended = [self.tasks[i] for i in waiting if self.tasks[i].state in TERMINAL]
            if ended:
                yield task_service_pb2.WatchTasksResponse(tasks=ended)

    async def CancelTask(  # noqa: N802
        self, request: task_service_pb2.CancelTaskRequest, context: Context
    ) -> task_pb2.Task:
        task = await self._find(request.id, context)
        task.state = task_pb2.TASK_STATE_CANCELLED
        return task

    async def RedriveTask(  # noqa: N802
        self, request: task_service_pb2.RedriveTaskRequest, context: Context
    ) -> task_pb2.Task:
        await self._maybe_fail(context)
        task = await self._find(request.id, context)
        if task.state != task_pb2.TASK_STATE_FAILED:
            await abort(context, failure(grpc.StatusCode.FAILED_PRECONDITION, "NOT_FAILED", "the task is not FAILED"))
        task.state = task_pb2.TASK_STATE_QUEUED
        return task

    async def RedriveTasks(  # noqa: N802
        self, request: task_service_pb2.RedriveTasksRequest, context: Context
    ) -> task_service_pb2.RedriveTasksResponse:
        failed = [task.id for task in self.tasks.values() if task.state == task_pb2.TASK_STATE_FAILED]
        return task_service_pb2.RedriveTasksResponse(count=len(failed), ids=failed[:100])

    async def PurgeTasks(  # noqa: N802
        self, request: task_service_pb2.PurgeTasksRequest, context: Context
    ) -> task_service_pb2.PurgeTasksResponse:
        self.purged.append(request)
        failed = [task.id for task in self.tasks.values() if task.state == task_pb2.TASK_STATE_FAILED]
        return task_service_pb2.PurgeTasksResponse(count=len(failed), ids=failed[:100])

    async def ListAttempts(  # noqa: N802
        self, request: task_service_pb2.ListAttemptsRequest, context: Context
    ) -> task_service_pb2.ListAttemptsResponse:
        await self._find(request.task_id, context)
        self.pages.append(request.page_size)
        runs = [
            task_pb2.Attempt(task_id=request.task_id, attempt=1, outcome=task_pb2.ATTEMPT_OUTCOME_CRASHED),
            task_pb2.Attempt(task_id=request.task_id, attempt=2, worker="w1"),
        ]
        # One a page, though more were asked for: errors are large.
        start = int(request.page_token or 0)
        return task_service_pb2.ListAttemptsResponse(
            attempts=runs[start : start + 1], next_page_token="" if start else "1"
        )

    async def ListQueues(  # noqa: N802
        self, request: queue_service_pb2.ListQueuesRequest, context: Context
    ) -> queue_service_pb2.ListQueuesResponse:
        queue = queue_service_pb2.Queue(namespace=request.namespace, name="default", queued=len(self.tasks))
        queue.oldest_age.FromMilliseconds(500)
        return queue_service_pb2.ListQueuesResponse(queues=[queue])

    async def GetBacklog(  # noqa: N802
        self, request: queue_service_pb2.GetBacklogRequest, context: Context
    ) -> queue_service_pb2.Backlog:
        raise NotImplementedError

    async def ListWorkers(  # noqa: N802
        self, request: cluster_service_pb2.ListWorkersRequest, context: Context
    ) -> cluster_service_pb2.ListWorkersResponse:
        workers = [
            cluster_service_pb2.Worker(name="w1", labels={"io": "ssd"}, slots=4, running=1, types=["demo.echo"]),
            cluster_service_pb2.Worker(namespace=request.namespace, name="w2", slots=2),
        ]
        # One a page: what they say of themselves may be large.
        start = int(request.page_token or 0)
        return cluster_service_pb2.ListWorkersResponse(
            workers=workers[start : start + 1], next_page_token="" if start else "1"
        )

    async def GetCluster(  # noqa: N802
        self, request: cluster_service_pb2.GetClusterRequest, context: Context
    ) -> cluster_service_pb2.Cluster:
        return cluster_service_pb2.Cluster(
            version="0.1.0",
            leader=cluster_service_pb2.Leader(id="d1", term=7),
            dispatchers=[cluster_service_pb2.Dispatcher(id="d1", leader=True), cluster_service_pb2.Dispatcher(id="d2")],
        )

    async def _find(self, task_id: str, context: Context) -> task_pb2.Task:
        if task_id not in self.tasks:
            await abort(context, failure(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f"no task {task_id}"))
        return self.tasks[task_id]

    async def _maybe_fail(self, context: Context) -> None:
        self.calls += 1
        if self.failures:
            await abort(context, self.failures.popleft())


async def abort(context: Context, status: Status) -> NoReturn:
    rich = rpc_status.to_status(status)
    context.set_trailing_metadata(tuple(rich.trailing_metadata))
    await context.abort(rich.code, rich.details)


def _refused(reason: str, *, message: str, field: str = "", task_id: str = "") -> task_service_pb2.SubmitResult:
    error = task_service_pb2.SubmitError(reason=reason, message=message, field=field, task_id=task_id)
    return task_service_pb2.SubmitResult(error=error)


async def _well() -> health_pb2_grpc.HealthServicer:
    servicer = HealthServicer()
    await servicer.set("liveness", health_pb2.HealthCheckResponse.SERVING)
    return servicer


@asynccontextmanager
async def serving(
    stub: StubScheduler, address: str = "127.0.0.1:0", health: health_pb2_grpc.HealthServicer | None = None
) -> AsyncIterator[str]:
    """Serve the stub; yields its address. It is well unless `health` says otherwise."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 5 * 1024 * 1024), ("grpc.so_reuseport", 0)])
    task_service_pb2_grpc.add_TaskServiceServicer_to_server(stub, server)
    queue_service_pb2_grpc.add_QueueServiceServicer_to_server(stub, server)
    cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(stub, server)
    health_pb2_grpc.add_HealthServicer_to_server(health or await _well(), server)
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
