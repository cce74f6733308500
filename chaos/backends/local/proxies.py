"""The proxies between the parts: one toxiproxy server, several proxies for each link where it has several ports."""

import asyncio
import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from toxiproxy import Proxy, Toxiproxy
from toxiproxy.api import APIConsumer

from chaos.backends.cluster import Direction, Link, Toxic
from chaos.backends.local.port import LOOPBACK, free_address, port_of
from chaos.backends.local.process import Command, Process
from chaos.backends.local.program import tool


class Proxies:
    """Everything that is called through a link. The client library knows one server, so a process has one cluster."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._server = Toxiproxy()
        self._process: Process | None = None
        self._proxies: dict[Link, list[Proxy]] = {}

    @property
    def links(self) -> list[Link]:
        """All that there are."""
        return sorted(self._proxies)

    async def start(self) -> None:
        """Starts the server. Raises MissingProgram."""
        address = free_address()
        argv = (str(tool("toxiproxy-server")), "-host", LOOPBACK, "-port", str(port_of(address)))
        self._process = await Process.start(Command(argv, {**os.environ, "LOG_LEVEL": "error"}, self._log))
        self._server.update_api_consumer(LOOPBACK, port_of(address))
        while not await asyncio.to_thread(self._server.running):
            if self._process.pid is None:
                raise self._process.failure("ended")
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Ends the server, and with it every connection."""
        if self._process is not None:
            await self._process.stop(signal.SIGTERM, 5)

    async def open(self, link: Link, upstream: str) -> str:
        """Makes a proxy to `upstream` that belongs to the link; returns the address to call instead."""
        proxies = self._proxies.setdefault(link, [])
        address = free_address()
        name = f"{link}.{len(proxies)}"
        proxies.append(await asyncio.to_thread(self._server.create, upstream, name, listen=address))
        return address

    async def repoint(self, target: str, upstream: str) -> None:
        """Makes all links to `target` lead to another address; connections to the old one are cut."""
        for proxy in self._all(link for link in self._proxies if link.target == target):
            await asyncio.to_thread(APIConsumer.post, f"/proxies/{proxy.name}", json={"upstream": upstream})

    async def spoil(self, link: Link, kind: Toxic, attributes: Mapping[str, int], direction: Direction) -> None:
        """Puts a toxic on a link; one that is there already is replaced."""
        for proxy in self._all([link]):
            await asyncio.to_thread(_spoil, proxy, kind, attributes, direction)

    async def heal(self, link: Link) -> None:
        """Takes all toxics off a link."""
        for proxy in self._all([link]):
            await asyncio.to_thread(_heal, proxy)

    def _all(self, links: Iterable[Link]) -> list[Proxy]:
        return [proxy for link in links for proxy in self._proxies[link]]


def _spoil(proxy: Proxy, kind: Toxic, attributes: Mapping[str, int], direction: Direction) -> None:
    if kind is Toxic.DOWN:
        proxy.disable()
        return
    name = f"{kind}_{direction}"
    if proxy.get_toxic(name) is not None:
        proxy.destroy_toxic(name)
    proxy.add_toxic(name=name, type=str(kind), stream=str(direction), attributes=dict(attributes))


def _heal(proxy: Proxy) -> None:
    for name in proxy.toxics():
        proxy.destroy_toxic(name)
    proxy.enable()
