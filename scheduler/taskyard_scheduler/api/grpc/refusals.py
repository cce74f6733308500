"""Every call passes the door, and every refused one ends in the one vocabulary of failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from taskyard_scheduler.api import failures
from taskyard_scheduler.api.grpc import requests, status
from taskyard_scheduler.api.grpc.door import Door

_OURS = "/taskyard.v1."

_Handler = Any
"""gRPC's description of a method, whose types are not public."""
_Context = grpc.aio.ServicerContext[Any, Any]
_Call = Callable[[str, _Context], Awaitable[None]]
"""One call of a caller."""


class Refusals(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Turns what our methods raise into statuses with details."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._wrapped: dict[str, _Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """The method's description, with our wrapper around its code."""
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(_OURS):
            return handler
        call = _streamed(handler, self._door) if handler.response_streaming else _single(handler, self._door)
        self._wrapped[method] = grpc.stream_stream_rpc_method_handler(_refusing(call, self._door))
        return self._wrapped[method]


def _single(handler: _Handler, door: Door) -> _Call:
    behave: Callable[[Any, _Context], Awaitable[Any]] = handler.unary_unary
    read, write = requests.reader(handler.request_deserializer), handler.response_serializer

    async def call(who: str, context: _Context) -> None:
        answer = await door.request(context, who, read, behave)
        message = write(answer)
        del answer
        await door.answer(context, who, message)

    return call


def _streamed(handler: _Handler, door: Door) -> _Call:
    behave: Callable[[Any, _Context], AsyncIterator[Any]] = handler.unary_stream
    read, write = requests.reader(handler.request_deserializer), handler.response_serializer

    async def begin(request: Any, context: _Context) -> AsyncIterator[Any]:
        return behave(request, context)

    async def call(who: str, context: _Context) -> None:
        async for answer in await door.request(context, who, read, begin):
            message = write(answer)
            del answer
            await door.answer(context, who, message)

    return call


def _refusing(call: _Call, door: Door) -> _Call:
    async def guarded(_: Any, context: _Context) -> None:
        try:
            who = context.peer()
            door.enter(who)
            try:
                await call(who, context)
            finally:
                door.leave(who)
        except grpc.aio.InternalError:
            # gRPC could neither read nor write: the client is gone, and nobody is there to be told.
            return
        except Exception as error:
            await status.abort(context, failures.from_error(error))

    return guarded
