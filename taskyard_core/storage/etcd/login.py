"""Who one is to etcd: a token for a password, asked for once for all calls that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Login:
    """Holds the token until somebody has reason to doubt it.

    `ask` gets one, or None while etcd asks nobody who they are; what it raises, all who wait are told.
    """

    def __init__(self, ask: Callable[[], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None
        self.current: str | None = None

    async def token(self) -> str | None:
        """The token; what all wait for ends with none of them."""
        if self.current is None:
            # Asked one after the other in an outage, each would wait as long as all before it together.
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._renew(), name="etcd-login")
                self._asking.add_done_callback(_heard)
            await asyncio.shield(self._asking)
        return self.current

    def doubt(self, token: str | None) -> None:
        """Ask for another if this is still the one that is held."""
        if self.current == token:
            self.current = None

    async def close(self) -> None:
        """Leave nothing running."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _renew(self) -> None:
        self.current = await self._ask()


def _heard(asking: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone."""
    if not asking.cancelled():
        asking.exception()
