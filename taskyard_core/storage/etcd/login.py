"""Who one is to etcd: a token for a password, asked for once for all calls that wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from taskyard_core.runtime.errand import Errand


class Login:
    """Holds the token until somebody has reason to doubt it.

    `ask` gets one, or None while etcd asks nobody who they are; what it raises, all who wait are told.
    """

    def __init__(self, ask: Callable[[], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._asking = Errand(self._renew, "etcd-login")
        self.current: str | None = None

    async def token(self) -> str | None:
        """The token, which may have to be asked for."""
        if self.current is None:
            await self._asking.done()
        return self.current

    def doubt(self, token: str | None) -> None:
        """Ask for another if this is still the one that is held."""
        if self.current == token:
            self.current = None

    async def close(self) -> None:
        """Leave nothing running."""
        await self._asking.close()

    async def _renew(self) -> None:
        self.current = await self._ask()
