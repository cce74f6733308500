"""TaskService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from typing_extensions import override

from taskyard_core.domain import limits, submission
from taskyard_core.domain.violations import Violation, within
from taskyard_core.storage.tasks import TaskFilter
from taskyard_core.wire import convert, specs, times
from taskyard_core.wire.gen import task_pb2, task_service_pb2, task_service_pb2_grpc
from taskyard_scheduler.api import failures, filters
from taskyard_scheduler.api.failures import Failure
from taskyard_scheduler.api.grpc import status
from taskyard_scheduler.api.grpc.requests import Batch
from taskyard_scheduler.api.identifiers import task_id
from taskyard_scheduler.api.submissions import Accepted, AcceptedId, Item, SubmissionDesk
from taskyard_scheduler.api.tasks import Tasks

Context = grpc.aio.ServicerContext[Any, Any]


class TaskService(task_service_pb2_grpc.TaskServiceServicer):
    """Reads requests, asks the API, writes answers. What is raised becomes a status in `refusals`."""

    def __init__(self, desk: SubmissionDesk, tasks: Tasks) -> None:
        self._desk = desk
        self._tasks = tasks

    @override
    async def SubmitTask(
        self, request: task_service_pb2.SubmitTaskRequest, context: Context
    ) -> task_service_pb2.SubmitTaskResponse:
        with within("task"):
            spec = specs.spec(request.task)
        outcome = await self._desk.submit_one(spec)
        return task_service_pb2.SubmitTaskResponse(task=convert.task(outcome.task), deduplicated=outcome.deduplicated)

    @override
    async def SubmitTasks(
        self,
        request: Batch,  # type: ignore[override]  # what requests.reader makes of the message
        context: Context,
    ) -> task_service_pb2.SubmitTasksResponse:
        items, ids_only = _items(request), request.message.ids_only
        # Its payloads were copied, and are large.
        del request
        if ids_only:
            results = map(_result, await self._desk.submit_ids(items))
        else:
            results = map(_result, await self._desk.submit(items))
        return task_service_pb2.SubmitTasksResponse(results=results)

    @override
    async def GetTask(self, request: task_service_pb2.GetTaskRequest, context: Context) -> task_pb2.Task:
        return convert.task(await self._tasks.get(task_id(request.id), context.peer()))

    @override
    async def ListTasks(
        self, request: task_service_pb2.ListTasksRequest, context: Context
    ) -> task_service_pb2.ListTasksResponse:
        wanted = _filter(request.filter)
        page = await self._tasks.page(wanted, request.page_size, request.page_token, context.peer())
        return task_service_pb2.ListTasksResponse(
            tasks=[convert.task(task) for task in page.items], next_page_token=page.next_page_token
        )

    @override
    async def WaitTask(self, request: task_service_pb2.WaitTaskRequest, context: Context) -> task_pb2.Task:
        seconds = limits.WAIT_SECONDS_DEFAULT
        if request.HasField("wait"):
            seconds = submission.seconds("wait", times.seconds("wait", request.wait), limits.WAIT_SECONDS_MAX)
        return convert.task(await self._tasks.wait(task_id(request.id), seconds, context.peer()))

    @override
    async def WatchTasks(
        self, request: task_service_pb2.WatchTasksRequest, context: Context
    ) -> AsyncIterator[task_service_pb2.WatchTasksResponse]:
        if not 1 <= len(request.ids) <= limits.PAGE_SIZE_MAX:
            raise Violation("ids", f"must be 1 to {limits.PAGE_SIZE_MAX} ids")
        ids = [task_id(text, f"ids[{n}]") for n, text in enumerate(request.ids)]
        async for seen in self._tasks.watch(ids, context.peer()):
            # Nothing is kept here of a message that its client may be slow to take.
            yield task_service_pb2.WatchTasksResponse(tasks=map(convert.task, seen.tasks), unknown_ids=seen.unknown_ids)

    @override
    async def CancelTask(self, request: task_service_pb2.CancelTaskRequest, context: Context) -> task_pb2.Task:
        return convert.task(await self._tasks.cancel(task_id(request.id), context.peer()))

    @override
    async def RedriveTask(self, request: task_service_pb2.RedriveTaskRequest, context: Context) -> task_pb2.Task:
        return convert.task(await self._tasks.redrive(task_id(request.id), context.peer()))

    @override
    async def RedriveTasks(
        self, request: task_service_pb2.RedriveTasksRequest, context: Context
    ) -> task_service_pb2.RedriveTasksResponse:
        wanted = _dead_letters(request.filter)
        bulk = await self._tasks.redrive_many(wanted, request.limit, dry_run=request.dry_run)
        return task_service_pb2.RedriveTasksResponse(count=bulk.count, ids=bulk.ids)

    @override
    async def PurgeTasks(
        self, request: task_service_pb2.PurgeTasksRequest, context: Context
    ) -> task_service_pb2.PurgeTasksResponse:
        wanted = _dead_letters(request.filter)
        bulk = await self._tasks.purge_many(wanted, request.limit, dry_run=request.dry_run)
        return task_service_pb2.PurgeTasksResponse(count=bulk.count, ids=bulk.ids)

    @override
    async def ListAttempts(
        self, request: task_service_pb2.ListAttemptsRequest, context: Context
    ) -> task_service_pb2.ListAttemptsResponse:
        wanted = task_id(request.task_id, "task_id")
        runs = await self._tasks.attempts(wanted, request.page_size, request.page_token)
        return task_service_pb2.ListAttemptsResponse(
            attempts=[convert.attempt(attempt) for attempt in runs.items], next_page_token=runs.next_page_token
        )


def _items(batch: Batch) -> list[Item]:
    read = specs.spec
    items: list[Item] = []
    for place, message in enumerate(batch.message.tasks):
        if place in batch.refused:
            items.append(failures.invalid(batch.refused[place]))
            continue
        try:
            items.append(read(message))
        except Violation as violation:
            items.append(failures.invalid(violation.within(f"tasks[{place}]")))
    return items


def _result(outcome: Accepted | AcceptedId | Failure) -> task_service_pb2.SubmitResult:
    if isinstance(outcome, Failure):
        return task_service_pb2.SubmitResult(error=status.submit_error(outcome))
    if isinstance(outcome, AcceptedId):
        task = task_pb2.Task(id=outcome.id, state=convert.STATES[outcome.state])
    else:
        task = convert.task(outcome.task)
    return task_service_pb2.SubmitResult(task=task, deduplicated=outcome.deduplicated)


def _filter(message: task_service_pb2.TaskFilter) -> TaskFilter:
    with within("filter"):
        return filters.task_filter(
            namespace=message.namespace,
            queue=message.queue,
            type=message.type,
            state=convert.state(message.state),
            error_type=message.error_type,
        )


def _dead_letters(message: task_service_pb2.TaskFilter) -> TaskFilter:
    wanted = _filter(message)
    with within("filter"):
        return filters.dead_letters(wanted)
