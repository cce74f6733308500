"""What kube-proxy does for a Service with an address of its own: each connection goes to one of its pods."""

import asyncio
import random
from collections.abc import Callable, Sequence

CHUNK = 65_536


class Proxy:
    """Listens for one port of a Service. Connections last as long as both ends want, whatever becomes of the pod."""

    def __init__(self, pods: Callable[[], Sequence[tuple[str, int]]]) -> None:
        self._pods = pods
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> None:
        """Serve from now on."""
        self._server = await asyncio.start_server(self._serve, address, port)

    async def close(self) -> None:
        """Break all connections off and listen no more."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pods = self._pods()
            if not pods:
                return
            from_pod, to_pod = await asyncio.open_connection(*random.choice(pods))
            try:
                await asyncio.gather(_copy(reader, to_pod), _copy(from_pod, writer))
            finally:
                to_pod.transport.abort()
        except OSError:
            # The pod is not there, or one end broke off: so does the other.
            return
        finally:
            writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK):
        target.write(chunk)
        await target.drain()
    target.write_eof()
