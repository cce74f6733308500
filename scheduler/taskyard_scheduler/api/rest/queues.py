"""Routes under /v1/queues."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from taskyard_scheduler.api.backlogs import pool, read_labels
from taskyard_scheduler.api.rest import answers, models, openapi, parameters, views
from taskyard_scheduler.api.rest.bodies import Bodies
from taskyard_scheduler.api.services import Services


def routes(services: Services) -> APIRouter:
    """The routes on queues."""
    router = APIRouter(tags=["queues"])
    queues, backlogs = services.queues, services.backlogs
    bodies = Bodies(services.traffic.arriving)

    @router.get(
        "/v1/queues",
        dependencies=[parameters.of(models.NamespaceQuery)],
        summary="List queues with their counts",
        responses={200: {"model": views.QueueList}, **openapi.refusals()},
    )
    async def list_queues(query: Annotated[models.NamespaceQuery, Query()]) -> Response:
        page = await queues.page(query.namespace, query.page_size, query.page_token)
        found = [answers.queue(queue) for queue in page.queues]
        return answers.response({"queues": found, "next_page_token": page.next_page_token})

    @router.patch(
        "/v1/queues/{name}",
        dependencies=[parameters.of(models.QueueQuery)],
        summary="Set a queue's defaults and limits",
        openapi_extra=openapi.body(models.QueueSettings),
        responses={200: {"model": views.Queue}, **openapi.refusals(413, 415)},
    )
    async def update_queue(
        request: Request, name: Annotated[str, Path()], query: Annotated[models.QueueQuery, Query()]
    ) -> Response:
        given = await bodies.plain(request, models.QueueSettings)
        retry = given.retry.to_domain() if given.retry else None
        return answers.response(answers.queue(await queues.update(query.namespace, name, retry, given.max_backlog)))

    @router.get(
        "/v1/backlog",
        dependencies=[parameters.of(models.BacklogQuery)],
        summary="Tell how much there is to do for workers that are alike",
        responses={200: {"model": views.Backlog}, **openapi.refusals()},
    )
    async def get_backlog(query: Annotated[models.BacklogQuery, Query()]) -> Response:
        labels = read_labels(query.labels)
        found = await backlogs.of(pool(query.namespace, labels, query.queue, query.type, fields=("queue", "type")))
        return answers.response({"backlog": found.backlog, "running": found.running})

    return router
