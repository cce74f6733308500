"""Whom an abuser abuses, and for how long."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import grpc

from taskyard import Client

VARIABLE = "CHAOS_ABUSE_TARGET"
NAMESPACE = "abuse"
"""Of all that abusers submit: the history of a run leaves it out."""
LINGER = 10.0
"""Seconds after the abuse for which its tasks still wait."""


@dataclass(frozen=True)
class Target:
    """Addresses of a cluster.

    `rest` has URLs, the others host:port: of the schedulers' gRPC, the dispatchers' sessions, and all that speaks HTTP.
    """

    rest: Sequence[str]
    schedulers: Sequence[str]
    dispatchers: Sequence[str]
    http: Sequence[str]
    until: float
    """Seconds since the epoch."""

    @classmethod
    def from_environment(cls) -> Self:
        """What `environment` wrote."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def environment(self) -> dict[str, str]:
        """For the process of an abuser."""
        return {VARIABLE: json.dumps(asdict(self))}

    @property
    def left(self) -> float:
        """Seconds until the abuse is over."""
        return self.until - time.time()

    @property
    def expires_at(self) -> datetime:
        """When tasks that nobody takes may go."""
        return datetime.fromtimestamp(self.until, UTC) + timedelta(seconds=LINGER)

    def client(self) -> Client:
        """A client that submits where the history does not look."""
        return Client(",".join(self.schedulers), namespace=NAMESPACE)

    @contextlib.asynccontextmanager
    async def channel(self, address: str) -> AsyncIterator[grpc.aio.Channel]:
        """A connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            yield channel


Act = Callable[[Target], Coroutine[Any, Any, None]]


async def again_and_again(target: Target, pause: float, act: Act) -> None:
    """Acts until the time is over. What the server makes of it is the server's; refusals are what one hopes for."""
    while target.left > 0:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(max(0.1, target.left)):
                await act(target)
        await asyncio.sleep(min(pause, max(0.0, target.left)))
