"""Every connection is asked first which cluster its database is of."""

from collections.abc import Callable, Coroutine
from typing import Any

from taskyard_core.storage.identity import Identity
from taskyard_core.storage.postgres.queries import load

Admission = Callable[[Any], Coroutine[Any, Any, None]]
"""What a new connection must pass."""


def admission(identity: Identity) -> Admission:
    """Lets connections to this cluster's database pass; the first one tells which cluster that is."""

    async def admit(connection: Any) -> None:
        identity.learn(str(await connection.fetchval(load("cluster_id"))))

    return admit
