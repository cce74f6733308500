"""Valkey: a primary that keeps an append-only file, and a replica that lags as replicas do."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio as client
from redis.exceptions import RedisError

from chaos.backends.cluster import Role, StreamSize
from chaos.backends.local.clock import Clocks
from chaos.backends.local.member import Member
from chaos.backends.local.place import Place
from chaos.backends.local.port import LOOPBACK, port_of
from chaos.backends.local.process import Command
from chaos.backends.local.program import valkey_program

ANSWER_SECONDS = 5.0


class Redis:
    """Two servers that may swap their roles. `upstream` is the proxied address that a replica follows."""

    def __init__(
        self, places: Mapping[str, Place], logs: Path, upstream: str, addresses: Mapping[str, str], clocks: Clocks
    ) -> None:
        self.primary, self.replica = places
        self._places = places
        self._logs = logs
        self._upstream = upstream
        self._addresses = addresses
        self._clocks = clocks
        self._unwanted: set[str] = set()
        self.members = {name: self._member(name) for name in places}

    @property
    def address(self) -> str:
        """host:port of the primary."""
        return self._addresses[self.primary]

    async def start(self) -> None:
        """Starts both."""
        for member in self.members.values():
            await member.start()

    async def in_step(self) -> bool:
        """Whether the primary answers and the replica follows it."""
        try:
            links = await self._command_on(self.replica, "INFO", "replication")
            return await self.command("PING") in (True, b"PONG") and links["master_link_status"] == "up"
        except (RedisError, OSError, KeyError):
            return False

    async def promote(self) -> None:
        """Kills the primary and makes the replica the primary. The old one stays away until it is released."""
        old = self.members[self.primary]
        old.hold()
        await old.end()
        self.primary, self.replica = self.replica, self.primary
        await self._command_on(self.primary, "REPLICAOF", "NO", "ONE")

    async def wipe(self, name: str) -> None:
        """Kills a server; its next start finds no data."""
        self._unwanted.add(name)
        await self.members[name].end()

    async def command(self, *words: str | int) -> Any:
        """Runs a command on the primary."""
        return await self._command_on(self.primary, *words)

    async def keys(self) -> int:
        """How many keys there are."""
        return int(await self.command("DBSIZE"))

    async def streams(self) -> dict[str, StreamSize]:
        """Length and unacknowledged entries of each stream."""
        async with self._connected(self.primary) as server:
            found = [key async for key in server.scan_iter(_type="STREAM")]
            sizes: dict[str, StreamSize] = {}
            for key in found:
                groups = await server.xinfo_groups(key)
                pending = sum(int(group["pending"]) for group in groups)
                sizes[key.decode()] = StreamSize(await server.xlen(key), pending)
            return sizes

    @asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator["client.Redis"]:
        port = port_of(self._addresses[name])
        server = client.Redis(host=LOOPBACK, port=port, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=5)
        try:
            yield server
        finally:
            await server.aclose()

    async def _command_on(self, name: str, *words: str | int) -> Any:
        async with self._connected(name) as server:
            return await server.execute_command(*words)  # type: ignore[no-untyped-call]

    def _member(self, name: str) -> Member:
        addresses = {"url": f"redis://{self._addresses[name]}/0"}
        return Member(name, Role.REDIS, addresses, self._prepare)

    async def _prepare(self, member: Member) -> Command:
        place = self._places[member.name]
        if member.name in self._unwanted:
            place.clear()
            self._unwanted.discard(member.name)
        return Command(
            (str(valkey_program()), *self._arguments(member.name)),
            {**os.environ, **self._clocks.environment(member.name, member.role)},
            self._logs / f"{member.name}.log",
            directory=place.directory,
            enter=place.enter,
        )

    def _arguments(self, name: str) -> list[str]:
        settings = {
            "bind": LOOPBACK,
            "port": str(port_of(self._addresses[name])),
            "dir": str(self._places[name].directory),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "repl-timeout": "10",
            "repl-diskless-sync-delay": "0",
        }
        words = [word for key, value in settings.items() for word in (f"--{key}", value)]
        if name == self.replica:
            words += ["--replicaof", LOOPBACK, str(port_of(self._upstream))]
        return words
