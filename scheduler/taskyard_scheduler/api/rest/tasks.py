"""Routes under /v1/tasks and /v1/dlq."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from taskyard_core.domain import limits, submission
from taskyard_core.domain.violations import Violation, within
from taskyard_core.storage.tasks import TaskFilter
from taskyard_scheduler.api import filters
from taskyard_scheduler.api.identifiers import task_id
from taskyard_scheduler.api.rest import answers, models, openapi, parameters, values, views
from taskyard_scheduler.api.rest.bodies import Bodies, connection
from taskyard_scheduler.api.services import Services

TaskId = Annotated[str, Path(description="The task's UUID.", alias="id")]
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="The same as the field idempotency_key.")
]
_SUBMIT_REFUSALS = openapi.refusals(409, 413, 415, 429)


def routes(services: Services) -> APIRouter:
    """The routes on tasks."""
    router = APIRouter(tags=["tasks"])
    _add_submits(router, services)
    _add_reads(router, services)
    _add_changes(router, services)
    _add_dead_letters(router, services)
    return router


def _add_submits(router: APIRouter, services: Services) -> None:
    desk, bodies = services.desk, Bodies(services.traffic.arriving)

    @router.post(
        "/v1/tasks",
        dependencies=[parameters.of()],
        summary="Submit a task",
        status_code=201,
        openapi_extra=openapi.body(models.TaskSpec),
        responses={
            200: {"model": views.Task, "description": "The idempotency key was known: this is the first task."},
            201: {"model": views.Task, "description": "The task is durable."},
            **_SUBMIT_REFUSALS,
        },
    )
    async def submit_task(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        async with bodies.task(request, _utf8(idempotency_key)) as spec:
            outcome = await desk.submit_one(spec)
        return answers.response(answers.task(outcome.task), 200 if outcome.deduplicated else 201)

    @router.post(
        "/v1/tasks:batch",
        summary="Submit up to 1,000 tasks",
        description="Each task has its own outcome.",
        **openapi.describes(views.BatchResults, 413, 415, takes=models.Batch),
    )
    async def submit_tasks(request: Request) -> Response:
        async with bodies.batch(request) as (items, ids_only):
            outcomes = await (desk.submit_ids(items) if ids_only else desk.submit(items))
        return answers.response({"results": [answers.result(outcome) for outcome in outcomes]})


def _add_reads(router: APIRouter, services: Services) -> None:
    tasks = services.tasks

    @router.get(
        "/v1/tasks",
        summary="List tasks, newest first",
        **openapi.describes(views.TaskList, query=models.ListQuery),
    )
    async def list_tasks(request: Request, query: Annotated[models.ListQuery, Query()]) -> Response:
        page = await tasks.page(query.to_domain(), query.page_size, query.page_token, connection(request))
        return answers.page("tasks", page, answers.task)

    @router.get(
        "/v1/tasks/{id}",
        summary="Get a task, or wait until it has ended",
        **openapi.describes(views.Task, 404, query=models.GetQuery),
    )
    async def get_task(request: Request, id_: TaskId, query: Annotated[models.GetQuery, Query()]) -> Response:
        wanted, wait = task_id(id_), _wait(query.wait)
        caller = connection(request)
        # A connection has one request at a time, so that all of them are counted together.
        found = await (tasks.wait(wanted, wait, caller, kind="http") if wait else tasks.get(wanted, caller))
        return answers.response(answers.task(found))

    @router.get(
        "/v1/tasks/{id}/attempts",
        summary="List a task's runs, oldest first",
        **openapi.describes(views.AttemptList, 404, query=models.PageQuery),
    )
    async def list_attempts(id_: TaskId, query: Annotated[models.PageQuery, Query()]) -> Response:
        runs = await tasks.attempts(task_id(id_), query.page_size, query.page_token)
        return answers.page("attempts", runs)


def _add_changes(router: APIRouter, services: Services) -> None:
    tasks = services.tasks

    @router.post(
        "/v1/tasks/{id}:cancel",
        summary="Cancel a task",
        description="A task that has not started is CANCELLED at once; a running one is asked to stop.",
        **openapi.describes(views.Task, 404, 409),
    )
    async def cancel_task(request: Request, id_: TaskId) -> Response:
        return answers.response(answers.task(await tasks.cancel(task_id(id_), connection(request))))

    @router.post(
        "/v1/tasks/{id}:redrive",
        summary="Queue a FAILED task again with fresh budgets",
        **openapi.describes(views.Task, 404, 409),
    )
    async def redrive_task(request: Request, id_: TaskId) -> Response:
        return answers.response(answers.task(await tasks.redrive(task_id(id_), connection(request))))


def _add_dead_letters(router: APIRouter, services: Services) -> None:
    tasks, bodies = services.tasks, Bodies(services.traffic.arriving)
    shared = openapi.describes(views.BulkResult, 413, 415, takes=models.DeadLetters)

    @router.post("/v1/dlq:redrive", summary="Queue FAILED tasks that fit a filter again", **shared)
    async def redrive_tasks(request: Request) -> Response:
        wanted = await bodies.plain(request, models.DeadLetters)
        bulk = await tasks.redrive_many(_filter(wanted), wanted.limit or 0, dry_run=bool(wanted.dry_run))
        return answers.response(bulk)

    @router.post("/v1/dlq:purge", summary="Delete FAILED tasks that fit a filter", **shared)
    async def purge_tasks(request: Request) -> Response:
        wanted = await bodies.plain(request, models.DeadLetters)
        bulk = await tasks.purge_many(_filter(wanted), wanted.limit or 0, dry_run=bool(wanted.dry_run))
        return answers.response(bulk)


def _filter(wanted: models.DeadLetters) -> TaskFilter:
    with within("filter"):
        return filters.dead_letters((wanted.filter or models.TaskFilter()).to_domain())


def _wait(text: str) -> float:
    if not text:
        return 0.0
    try:
        length = values.seconds(text)
    except ValueError as error:
        raise Violation("wait", str(error)) from error
    return submission.seconds("wait", length, limits.WAIT_SECONDS_MAX)


def _utf8(header: str | None) -> str | None:
    """The header as it was meant: HTTP libraries take its bytes for Latin-1."""
    try:
        return None if header is None else header.encode("latin-1").decode()
    except UnicodeError as error:
        raise Violation("Idempotency-Key", "is not UTF-8") from error
