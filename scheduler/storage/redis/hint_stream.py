"""Hints as they come, over as many connections as it takes."""

import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from scheduler.storage.redis.hints import Hint, Message, Reconnected, channel
from scheduler.storage.redis.keys import Keys
from scheduler.storage.redis.subscription import Subscription
from scheduler.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)


class HintStream(AsyncIterator[Hint]):
    """An endless iterator over messages of some kinds: `async with HintStream(redis, keys, LanesFilled) as stream`.

    Says Reconnected first, and again each time a lost connection is back. For one reader, which may be cancelled and
    go on later. `quiet` is after how many seconds of silence the connection is checked.
    """

    def __init__(self, redis: Redis, keys: Keys, *kinds: type[Message], quiet: float = 5.0) -> None:
        self._redis = redis
        self._quiet = quiet
        self._kinds = {channel(keys, kind): kind for kind in kinds}
        self._subscription: Subscription | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> Hint:
        if self._subscription is not None:
            try:
                heard = await self._subscription.next()
                return self._kinds[heard.channel].decode(heard.data)
            except StoreUnavailable as error:
                _log.warning("no hints: %s", error)
                await self.aclose()
        self._subscription = await self._subscribed()
        return Reconnected()

    async def aclose(self) -> None:
        """Closes the connection; the next hint asked for opens another."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.aclose()

    async def _subscribed(self) -> Subscription:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailable),
            # Spread, since all processes lose their connections together.
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
        )
        return await retrying(Subscription.open, self._redis, list(self._kinds), self._quiet)
