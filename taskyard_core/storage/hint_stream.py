"""Hints as they come, over as many connections as it takes."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, Self

from taskyard_core.storage.backoff import Backoff
from taskyard_core.storage.hints import Hint, Message, Reconnected
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)


class Subscription(Protocol):
    """One connection that listens; of no use any more once it has raised StoreUnavailable."""

    async def next(self) -> Message:
        """The next message; may be cancelled and called again. Raises StoreUnavailable when the connection is lost."""

    async def aclose(self) -> None:
        """Closes the connection."""


class HintStream(AsyncIterator[Hint]):
    """An endless iterator over messages; `async with` closes it.

    Says Reconnected first, and again each time a lost connection is back. For one reader, which may be cancelled and
    go on later. `subscribe` opens a connection, or raises StoreUnavailable.
    """

    def __init__(
        self,
        subscribe: Callable[[], Awaitable[Subscription]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._subscribe = subscribe
        self._sleep = sleep
        # Spread, since all processes lose their connections together.
        self._backoff = Backoff(first=0.05, longest=2.0, draw=draw)
        self._subscription: Subscription | None = None
        self.refusal: StoreUnavailable | None = None
        """What the server said if it let us not listen when that was last tried."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def __anext__(self) -> Hint:
        if self._subscription is not None:
            try:
                return await self._subscription.next()
            except StoreUnavailable as error:
                _log.warning("no hints: %s", error)
                await self.aclose()
        self._subscription = await self._subscribed()
        return Reconnected()

    async def aclose(self) -> None:
        """Closes the connection; the next hint asked for opens another."""
        subscription, self._subscription = self._subscription, None
        self.refusal = None
        if subscription is not None:
            await subscription.aclose()

    async def _subscribed(self) -> Subscription:
        while True:
            try:
                subscription = await self._subscribe()
            except StoreUnavailable as error:
                self.refusal = error if error.refused else None
                await self._sleep(self._backoff.next())
            else:
                self.refusal = None
                self._backoff.reset()
                return subscription
