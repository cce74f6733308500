"""A bidirectional call on which silence can be told from failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc.aio

from taskyard_core.storage.etcd.errors import EtcdError, EtcdUnavailable

# What a read returns after the last message; the published type stubs don't know it.
_END: object = vars(grpc.aio)["EOF"]


class Stream:
    """Reads and writes of one call to one member; `failed` turns its errors into ours."""

    def __init__(self, call: Any, *, failed: Callable[[grpc.aio.AioRpcError], EtcdError], place: str) -> None:
        self._call = call
        self._failed = failed
        self._reading: asyncio.Task[Any] | None = None
        self.place = place

    async def write(self, request: Any, *, timeout: float) -> None:
        """Send one message. Raises EtcdUnavailable after `timeout` seconds; the call is dead then.

        Raises other EtcdErrors if the member ended the call.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._call.write(request)
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from error
        except asyncio.InvalidStateError as error:
            raise EtcdUnavailable(f"{self.place}: the stream has ended") from error
        except TimeoutError as error:
            raise EtcdUnavailable(f"{self.place}: could not write for {timeout} s") from error

    async def read(self, *, timeout: float | None = None) -> Any | None:
        """Return the next message, or None after `timeout` seconds of silence, if that is given.

        Neither silence nor cancelling this coroutine harms the stream: a plain gRPC read that is
        cancelled takes the whole call with it, so the read is kept and picked up again.
        Raises EtcdError when the stream ends.
        """
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._call.read())
        await asyncio.wait({self._reading}, timeout=None if timeout is None else max(0.0, timeout))
        if not self._reading.done():
            return None
        reading, self._reading = self._reading, None
        return self._result(reading)

    def _result(self, reading: asyncio.Task[Any]) -> Any:
        if reading.cancelled():
            raise EtcdUnavailable(f"{self.place}: the stream was closed")
        try:
            message = reading.result()
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from error
        if message is _END:
            raise EtcdUnavailable(f"{self.place}: the member ended the stream")
        return message

    async def close(self) -> None:
        """End the call and leave nothing running."""
        self._call.cancel()
        if self._reading is not None:
            # Its outcome is of no use any more, but an outcome nobody fetched is reported as a bug.
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
