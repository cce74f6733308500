"""Routes under /v1/queues."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from taskyard_scheduler.api.backlogs import pool, read_labels
from taskyard_scheduler.api.rest import answers, models, openapi, views
from taskyard_scheduler.api.rest.bodies import Bodies
from taskyard_scheduler.api.services import Services


def routes(services: Services) -> APIRouter:
    """The routes on queues."""
    router = APIRouter(tags=["queues"])
    queues, backlogs = services.queues, services.backlogs
    bodies = Bodies(services.traffic.arriving)

    @router.get(
        "/v1/queues",
        summary="List queues with their counts",
        **openapi.describes(views.QueueList, query=models.NamespaceQuery),
    )
    async def list_queues(query: Annotated[models.NamespaceQuery, Query()]) -> Response:
        page = await queues.page(query.namespace, query.page_size, query.page_token)
        return answers.page("queues", page, answers.queue)

    @router.patch(
        "/v1/queues/{name}",
        summary="Set a queue's defaults and limits",
        **openapi.describes(views.Queue, 413, 415, query=models.QueueQuery, takes=models.QueueSettings),
    )
    async def update_queue(
        request: Request, name: Annotated[str, Path()], query: Annotated[models.QueueQuery, Query()]
    ) -> Response:
        given = await bodies.plain(request, models.QueueSettings)
        retry = given.retry.to_domain() if given.retry else None
        return answers.response(answers.queue(await queues.update(query.namespace, name, retry, given.max_backlog)))

    @router.get(
        "/v1/backlog",
        summary="Tell how much there is to do for workers that are alike",
        **openapi.describes(views.Backlog, query=models.BacklogQuery),
    )
    async def get_backlog(query: Annotated[models.BacklogQuery, Query()]) -> Response:
        labels = read_labels(query.labels)
        found = await backlogs.of(pool(query.namespace, labels, query.queue, query.type, fields=("queue", "type")))
        return answers.response({"backlog": found.backlog, "running": found.running})

    return router
