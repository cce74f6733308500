"""One connection that listens to channels."""

from collections.abc import Sequence
from typing import NamedTuple, Self

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from scheduler.storage.redis.connection import available
from scheduler.storage.unavailable import StoreUnavailable


class Heard(NamedTuple):
    """A message as it came."""

    channel: str
    data: bytes


class Subscription:
    """Channels subscribed to on one connection; of no use any more once it has raised StoreUnavailable."""

    def __init__(self, redis: Redis, pubsub: PubSub, quiet: float) -> None:
        self._redis = redis
        self._pubsub = pubsub
        self._quiet = quiet
        self._pinged = False

    @classmethod
    async def open(cls, redis: Redis, channels: Sequence[str], quiet: float) -> Self:
        """Subscribes and waits until the server has confirmed; raises StoreUnavailable.

        After `quiet` seconds without a message the server is asked whether it is there, and has as long to answer.
        """
        subscription = cls(redis, redis.pubsub(), quiet)
        try:
            await subscription._subscribe(channels)
        except BaseException:
            await subscription.aclose()
            raise
        return subscription

    async def next(self) -> Heard:
        """The next message; may be cancelled and called again. Raises StoreUnavailable when the connection is lost."""
        while True:
            async with available(self._redis):
                message = await self._pubsub.get_message(timeout=self._quiet)
                if message is None:
                    await self._ping()
                    continue
            self._pinged = False
            if message["type"] == "message":
                return Heard(message["channel"].decode(), message["data"])

    async def aclose(self) -> None:
        """Closes the connection."""
        async with available(self._redis):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _subscribe(self, channels: Sequence[str]) -> None:
        async with available(self._redis):
            await self._pubsub.subscribe(*channels)
            for _ in channels:
                if await self._pubsub.get_message(timeout=self._quiet) is None:
                    raise StoreUnavailable("redis", f"no subscription within {self._quiet:g} s")

    async def _ping(self) -> None:
        # A peer that vanished without a word would otherwise be waited for until the end of time.
        if self._pinged:
            raise StoreUnavailable("redis", f"a subscription heard nothing for {self._quiet:g} s, nor an answer")
        self._pinged = True
        await self._pubsub.ping()
