"""The door of the session stream: frames that cannot be taken are refused by name, what nobody foresaw stays inside."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from taskyard_core.domain import limits
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime import unforeseen
from taskyard_core.wire import undecodable
from taskyard_core.wire.gen.worker_service_pb2 import WorkerFrame

_OPTIONS = [
    ("grpc.max_receive_message_length", limits.FRAME_RECEIVE_BYTES),
    ("grpc.max_send_message_length", 6 * 1024 * 1024),
    # What a connection brings before it is read is bounded, however fast it could bring more.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
    # Workers ping idle connections; without these a server closes them for it.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
    # gRPC unpacks up to the limit on a message: a few kilobytes on the wire would be that many in memory.
    ("grpc.compression_enabled_algorithms_bitset", 1),
]
_OURS = "/taskyard.v1.WorkerService/"

_Handler = Any
"""gRPC's description of a method, whose types are not public."""


def server() -> grpc.aio.Server:
    """A server with the guard and what limits connections. Make it inside a running event loop."""
    return grpc.aio.server(interceptors=[Guard()], options=_OPTIONS)


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Around every session."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """The method's description, with our reading of frames and our end of the stream."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        return handler._replace(stream_stream=_guarded(handler.stream_stream), request_deserializer=read)


def read(raw: bytes) -> WorkerFrame | Violation:
    """The frame, or what is wrong with it.

    Text of a result that is not UTF-8 is taken with replacement characters: other results share the frame.
    """
    if len(raw) > limits.FRAME_BYTES:
        return Violation("frame", f"{len(raw)} bytes, at most {limits.FRAME_BYTES} are allowed")
    try:
        return WorkerFrame.FromString(raw)
    except DecodeError:
        violation = undecodable.violation(raw, WorkerFrame.DESCRIPTOR, whole="frame")
        if not violation.field.startswith(("results[", "released[", "progress[")):
            return violation
    try:
        return WorkerFrame.FromString(undecodable.repaired(raw, WorkerFrame.DESCRIPTOR))
    except DecodeError:
        return violation


class _Readable:
    """The frames of a stream, up to the first that is none."""

    def __init__(self, incoming: AsyncIterator[WorkerFrame | Violation]) -> None:
        self._incoming = aiter(incoming)

    def __aiter__(self) -> "_Readable":
        return self

    async def __anext__(self) -> WorkerFrame:
        frame = await anext(self._incoming)
        if isinstance(frame, Violation):
            raise frame
        return frame


def _guarded(behaviour: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def call(incoming: AsyncIterator[WorkerFrame | Violation], context: Any) -> None:
        try:
            await behaviour(_Readable(incoming), context)
        except Violation as violation:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(violation))
        except (grpc.aio.BaseError, grpc.RpcError):
            # The stream has ended already.
            raise
        except Exception as error:
            await context.abort(grpc.StatusCode.INTERNAL, unforeseen.told(error))

    return call
