"""Every refused call ends in the one vocabulary of failures, also one whose request cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from scheduler.api import failures
from scheduler.api.grpc import status
from scheduler.wire import undecodable

_OURS = "/taskyard.v1."

_Handler = Any
"""gRPC's description of a method, whose types are not public."""


class _Unreadable:
    """Stands in for a request, so that the method's wrapper can say what is wrong with it."""

    def __init__(self, raw: bytes, descriptor: Descriptor) -> None:
        self.failure = failures.invalid(undecodable.violation(raw, descriptor))


class Refusals(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Turns what our methods raise into statuses with details."""

    def __init__(self) -> None:
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
        self._wrapped[method] = _wrap(handler)
        return self._wrapped[method]


def _wrap(handler: _Handler) -> _Handler:
    read = _lenient(handler.request_deserializer)
    if handler.response_streaming:
        return handler._replace(unary_stream=_streaming(handler.unary_stream), request_deserializer=read)
    return handler._replace(unary_unary=_unary(handler.unary_unary), request_deserializer=read)


def _lenient(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    # It is the FromString of the request's class.
    descriptor: Descriptor = deserialize.__self__.DESCRIPTOR  # type: ignore[attr-defined]

    def read(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except DecodeError:
            return _Unreadable(raw, descriptor)

    return read


def _unary(behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            if isinstance(request, _Unreadable):
                raise request.failure
            return await behaviour(request, context)
        except Exception as error:
            return await status.abort(context, failures.from_error(error))

    return call


def _streaming(behaviour: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            if isinstance(request, _Unreadable):
                raise request.failure
            async for message in behaviour(request, context):
                yield message
        except Exception as error:
            await status.abort(context, failures.from_error(error))

    return call
