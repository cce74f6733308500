"""A door before a scripted server: a TCP proxy that a case can shut, cut and make deaf, and that counts who came."""

import asyncio
import contextlib
import socket
from typing import Literal

Manner = Literal["open", "slam", "silent", "away"]
"""`open` lets through, `slam` accepts and hangs up, `silent` accepts and says nothing, `away` does not listen."""

_CHUNK = 256 * 1024


class Door:
    """One address, which stays the same whatever the case does to it."""

    def __init__(self) -> None:
        self.manner: Manner = "open"
        self.knocks: list[float] = []
        """When each connection came that a step has not met, on the event loop's clock."""
        self._behind = 0
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearing = asyncio.Event()
        self._hearing.set()
        self.changed = asyncio.Condition()

    @property
    def address(self) -> str:
        """What the testee is told."""
        return f"127.0.0.1:{self._port}"

    async def listen(self, behind: int) -> None:
        """Open, with the server's own port behind it."""
        self._behind = behind
        await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._came, "127.0.0.1", self._port, reuse_address=True)
            self._port = self._server.sockets[0].getsockname()[1]

    async def become(self, manner: Manner) -> None:
        """Behave like this towards those who come; those who are in stay, except that silence holds for all."""
        self.manner = manner
        if manner == "away":
            await self._stop_listening()
            self.cut()
        else:
            await self._listen()
        if manner == "silent":
            self._hearing.clear()
        else:
            self._hearing.set()

    def cut(self) -> None:
        """Break every connection without a word, as a killed process does."""
        for writer in list(self._writers):
            transport = writer.transport
            sock = transport.get_extra_info("socket")
            if sock is not None:
                with contextlib.suppress(OSError):
                    # Reset rather than an orderly end.
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            transport.abort()

    async def close(self) -> None:
        """Shut for good."""
        await self._stop_listening()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.changed:
            self.knocks.append(asyncio.get_running_loop().time())
            self.changed.notify_all()
        if self.manner == "slam":
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side went away, or the case is over
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._hearing.wait()
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        self._writers.add(inner_writer)
        ways = [
            asyncio.ensure_future(self._pass(reader, inner_writer)),
            asyncio.ensure_future(self._pass(inner_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(inner_writer)
            inner_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._hearing.wait()
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
