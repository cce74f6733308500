"""How requests come in and answers go out over gRPC.

Every call is taken as a stream, whose messages are read and written when there is room for them: gRPC itself reads a
request before anybody is asked, and keeps answers for clients that do not read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from taskyard_core.domain import limits
from taskyard_core.domain.violations import Violation
from taskyard_scheduler.api.census import Census
from taskyard_scheduler.api.traffic import Traffic

MESSAGE_BYTES = limits.BATCH_BYTES + 1024 * 1024
"""What gRPC takes. Beyond it the refusal has its words, not ours."""
_UNSEEN_BYTES = 2 * 1024 * 1024
"""What a request counts before its size is known; none is much larger."""
_SMALL_BYTES = 16 * 1024
"""An answer that needs no room: gRPC sends it at once, the client's windows are larger."""

_Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class Door:
    """Counts the calls under way, and the bytes of their requests and answers."""

    def __init__(self, traffic: Traffic) -> None:
        self._arriving = traffic.arriving
        self._leaving = traffic.leaving
        self._calls = Census(limits.CALLS, limits.CALLS_EACH, f"{limits.CALLS} calls are under way here at once")

    def enter(self, who: str) -> None:
        """One more call of the caller, until it leaves; raises Failure where there are too many."""
        self._calls.enter(who)

    def leave(self, who: str) -> None:
        """The call is over."""
        self._calls.leave(who)

    async def request(
        self, context: _Context, who: str, read: Callable[[bytes], Any], behave: Callable[[Any, _Context], Awaitable[T]]
    ) -> T:
        """What the method makes of the request, whose bytes count until then."""
        held = _UNSEEN_BYTES
        await self._arriving.spend(who, held)
        try:
            async with self._arriving.moving("the request took too long to arrive"):
                raw = await context.read()
            if not isinstance(raw, bytes):
                raise Violation("request", "is missing")
            unseen, held = held, max(1, len(raw))
            self._arriving.resize(who, unseen, held)
            request = [read(raw)]
            del raw
            # Nobody but the method holds it, so that a large one goes as soon as it is read.
            return await behave(request.pop(), context)
        finally:
            self._arriving.give_back(who, held)

    async def answer(self, context: _Context, who: str, message: bytes) -> None:
        """Send it, as soon as the client takes it."""
        if len(message) <= _SMALL_BYTES:
            await context.write(message)
            return
        async with self._leaving.room(who, len(message)), self._leaving.moving("the answer was not read"):
            await context.write(message)
