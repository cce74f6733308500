"""One connection that listens to channels."""

from collections.abc import Mapping, Sequence
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from taskyard_core.storage.hints import Message
from taskyard_core.storage.redis.connection import available
from taskyard_core.storage.redis.hints import channel, decoded
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.unavailable import StoreUnavailable


class Subscription:
    """Channels subscribed to on one connection; of no use any more once it has raised StoreUnavailable."""

    def __init__(self, redis: Redis, pubsub: PubSub, kinds: Mapping[str, type[Message]], quiet: float) -> None:
        self._redis = redis
        self._pubsub = pubsub
        self._kinds = kinds
        self._quiet = quiet
        self._pinged = False

    @classmethod
    async def open(cls, redis: Redis, keys: Keys, kinds: Sequence[type[Message]], quiet: float) -> Self:
        """Subscribes and waits until the server has confirmed; raises StoreUnavailable.

        After `quiet` seconds without a message the server is asked whether it is there, and has as long to answer.
        """
        subscription = cls(redis, redis.pubsub(), {channel(keys, kind): kind for kind in kinds}, quiet)
        try:
            await subscription._subscribe()
        except BaseException:
            await subscription.aclose()
            raise
        return subscription

    async def next(self) -> Message:
        """The next message; may be cancelled and called again. Raises StoreUnavailable when the connection is lost."""
        while True:
            async with available(self._redis):
                message = await self._pubsub.get_message(timeout=self._quiet)
                if message is None:
                    await self._ping()
                    continue
            self._pinged = False
            if message["type"] == "message":
                return decoded(self._kinds[message["channel"].decode()], message["data"])

    async def aclose(self) -> None:
        """Closes the connection."""
        async with available(self._redis):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _subscribe(self) -> None:
        async with available(self._redis):
            await self._pubsub.subscribe(*self._kinds)
            for _ in self._kinds:
                if await self._pubsub.get_message(timeout=self._quiet) is None:
                    raise StoreUnavailable("redis", f"no subscription within {self._quiet:g} s")

    async def _ping(self) -> None:
        # A peer that vanished without a word would otherwise be waited for until the end of time.
        if self._pinged:
            raise StoreUnavailable("redis", f"a subscription heard nothing for {self._quiet:g} s, nor an answer")
        self._pinged = True
        await self._pubsub.ping()
