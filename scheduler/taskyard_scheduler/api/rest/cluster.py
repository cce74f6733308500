"""/v1/cluster and /v1/workers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from taskyard_scheduler.api.rest import answers, models, openapi, views
from taskyard_scheduler.api.rest.bodies import connection
from taskyard_scheduler.api.services import Services


def routes(services: Services) -> APIRouter:
    """The routes on the cluster."""
    router = APIRouter(tags=["cluster"])
    cluster = services.cluster

    @router.get("/v1/cluster", summary="Name leader and dispatchers", **openapi.describes(views.Cluster))
    async def get_cluster() -> Response:
        return answers.response(answers.cluster(await cluster.get()))

    @router.get(
        "/v1/workers",
        summary="List connected workers by name",
        **openapi.describes(views.WorkerList, query=models.NamespaceQuery),
    )
    async def list_workers(request: Request, query: Annotated[models.NamespaceQuery, Query()]) -> Response:
        page = await cluster.workers(query.namespace, query.page_size, query.page_token, connection(request))
        return answers.page("workers", page)

    return router
