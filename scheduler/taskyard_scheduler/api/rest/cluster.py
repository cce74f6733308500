"""/v1/cluster and /v1/workers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from taskyard_scheduler.api.rest import answers, models, openapi, parameters, views
from taskyard_scheduler.api.rest.bodies import connection
from taskyard_scheduler.api.services import Services


def routes(services: Services) -> APIRouter:
    """The routes on the cluster."""
    router = APIRouter(tags=["cluster"])
    cluster = services.cluster

    @router.get(
        "/v1/cluster",
        dependencies=[parameters.of()],
        summary="Name leader and dispatchers",
        responses={200: {"model": views.Cluster}, **openapi.refusals()},
    )
    async def get_cluster() -> Response:
        return answers.response(answers.cluster(await cluster.get()))

    @router.get(
        "/v1/workers",
        dependencies=[parameters.of(models.NamespaceQuery)],
        summary="List connected workers by name",
        responses={200: {"model": views.WorkerList}, **openapi.refusals()},
    )
    async def list_workers(request: Request, query: Annotated[models.NamespaceQuery, Query()]) -> Response:
        page = await cluster.workers(query.namespace, query.page_size, query.page_token, connection(request))
        found = [answers.worker(worker) for worker in page.workers]
        return answers.response({"workers": found, "next_page_token": page.next_page_token})

    return router
