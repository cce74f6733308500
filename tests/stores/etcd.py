"""What tests of etcd need beyond a running member: a cluster, a gate in front, other clients' acts."""

import asyncio
import contextlib
import dataclasses
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taskyard_server.dev.etcd import Etcd as EtcdServer
from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.process import ProcessSpec


@asynccontextmanager
async def running(*servers: EtcdServer) -> AsyncIterator[None]:
    """Starts the servers, together if they are several, and kills them in the end."""
    try:
        for server in servers:
            await server.start()
        for server in servers:
            await server.wait_ready()
        yield
    finally:
        for server in servers:
            await crash(server)


async def crash(server: EtcdServer) -> None:
    """Kills the server with SIGKILL and waits until it has ended."""
    server.kill()
    await server.stop()


async def restart(server: EtcdServer) -> None:
    """Starts the server again on its data and waits until it answers."""
    await server.start()
    await server.wait_ready()


class ClusterMember(EtcdServer):
    """One member of a cluster; `peers` maps every member's name to its peer URL."""

    def __init__(self, directory: Path, name: str, peers: dict[str, str]) -> None:
        super().__init__(directory / name)
        self._name = name
        self._peers = peers

    @property
    def peer_url(self) -> str:
        return self._peers[self._name]

    def _spec(self) -> ProcessSpec:
        spec = super()._spec()
        everyone = ",".join(f"{name}={url}" for name, url in self._peers.items())
        flags = (f"--name={self._name}", f"--initial-cluster={everyone}", "--unsafe-no-fsync")
        return dataclasses.replace(spec, argv=(*spec.argv, *flags))


def cluster(directory: Path, size: int = 3) -> list[ClusterMember]:
    """The members of a new cluster, not started."""
    peers = {f"m{number}": f"http://{LOOPBACK}:{free_port()}" for number in range(size)}
    return [ClusterMember(directory, name, peers) for name in peers]


def compact(server: EtcdServer, revision: int) -> None:
    """Throws away the history before `revision`, as an operator would."""
    url = f"http://{server.url}/v3/kv/compaction"
    body = json.dumps({"revision": str(revision)}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=body)) as reply:
        assert reply.status == 200


class Gate:
    """A TCP proxy in front of a server that can be shut (resets) or frozen (silence)."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open = asyncio.Event()
        self._open.set()
        self._shut = False
        self._pipes: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def __aenter__(self) -> "Gate":
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.shut()
        await self._server.wait_closed()

    async def shut(self) -> None:
        """Breaks every connection and refuses new ones."""
        self._shut = True
        pipes = list(self._pipes)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)

    def freeze(self) -> None:
        """Lets nothing through, but keeps the connections."""
        self._open.clear()

    def reopen(self) -> None:
        self._shut = False
        self._open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = asyncio.create_task(self._serve(reader, writer))
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            if self._shut:
                return
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target_port)
            with contextlib.closing(far_writer):
                there = asyncio.ensure_future(self._copy(reader, far_writer))
                back = asyncio.ensure_future(self._copy(far_reader, writer))
                try:
                    await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    there.cancel()
                    back.cancel()
                    await asyncio.gather(there, back, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
