"""What several wait for and one does: in an outage each of their own would take as long as all before it together."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Errand:
    """An operation that runs once for all who ask for it meanwhile; it ends with none of them."""

    def __init__(self, operation: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._operation = operation
        self._name = name
        self._running: asyncio.Task[None] | None = None

    async def done(self) -> None:
        """Wait for the one that runs, or begin one; raises what it raises."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._operation(), name=self._name)
            self._running.add_done_callback(_heard)
        await asyncio.shield(self._running)

    async def close(self) -> None:
        """Leave nothing running."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


def _heard(running: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone."""
    if not running.cancelled():
        running.exception()
