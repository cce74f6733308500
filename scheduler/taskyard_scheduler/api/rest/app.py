"""The REST application."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import BaseRoute

from taskyard_core.version import VERSION
from taskyard_scheduler.api.rest import cluster, openapi, problems, queues, tasks
from taskyard_scheduler.api.services import Services

_DESCRIPTION = """\
Submit tasks, follow them, and look after queues.

- Field names are those of the gRPC API. Unknown fields and other types than the ones named are refused.
- Durations are strings in seconds like `"0.5s"`, times are RFC 3339, states are plain words.
- In answers every field is there; one that does not apply is `null`. In requests `null` means left out.
- Errors are `application/problem+json` with a `reason` to branch on.
"""


def build(services: Services, probes: Sequence[BaseRoute]) -> FastAPI:
    """The application; `probes` are the routes of metrics and health."""
    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        title="Taskyard",
        version=VERSION,
        description=_DESCRIPTION,
        openapi_url="/openapi.json",
        static_url="/docs/assets",
        # Without it the page asks a server on the internet what it thinks of the description.
        swagger_ui_parameters={"validatorUrl": None},
        redirect_slashes=False,
    )
    problems.install(app)
    for router in (tasks.routes(services), queues.routes(services), cluster.routes(services)):
        app.include_router(router)
    app.router.routes.extend(probes)
    openapi.install(app)
    return app
