"""Valkey: a primary that keeps an append-only file, and a replica that lags as replicas do."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from chaos.backends import streams
from chaos.backends.cluster import Role
from chaos.backends.local.clock import Clocks
from chaos.backends.local.member import Member
from chaos.backends.local.place import Place
from chaos.backends.local.port import LOOPBACK, port_of
from chaos.backends.local.process import Command
from chaos.backends.local.program import valkey_program


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

    @property
    def url(self) -> str:
        """URL of the primary."""
        return self._url(self.primary)

    async def start(self) -> None:
        """Starts both."""
        for member in self.members.values():
            await member.start()

    async def in_step(self) -> bool:
        """Whether the primary answers and the replica follows it."""
        try:
            links = await streams.command(self._url(self.replica), "INFO", "replication")
            return await self.command("PING") in (True, b"PONG") and links["master_link_status"] == "up"
        except (RedisError, OSError, KeyError):
            return False

    async def promote(self) -> None:
        """Kills the primary and makes the replica the primary. The old one stays away until it is released."""
        old = self.members[self.primary]
        old.hold()
        await old.end()
        self.primary, self.replica = self.replica, self.primary
        await streams.command(self.url, "REPLICAOF", "NO", "ONE")

    async def wipe(self, name: str) -> None:
        """Kills a server; its next start finds no data."""
        self._unwanted.add(name)
        await self.members[name].end()

    async def command(self, *words: str | int) -> Any:
        """Runs a command on the primary."""
        return await streams.command(self.url, *words)

    def _url(self, name: str) -> str:
        return f"redis://{self._addresses[name]}/0"

    def _member(self, name: str) -> Member:
        addresses = {"url": self._url(name)}
        return Member(name, Role.REDIS, addresses, self._prepare, ended=self._clocks.forget)

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
