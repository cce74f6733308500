"""Valkey: a primary that keeps an append-only file, and a replica that lags as replicas do."""

import os
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
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

CONFIGURATION = "valkey.conf"
USER = "default"
ADMIN = "admin"


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
        self._passwords = {user: token_urlsafe(32) for user in (USER, ADMIN)}
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

    def url_at(self, address: str) -> str:
        """The servers' URL of the primary, by one way there. They may not configure it: who may can write any file."""
        return f"redis://:{self._passwords[USER]}@{address}/0"

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
        return f"redis://{ADMIN}:{self._passwords[ADMIN]}@{self._addresses[name]}/0"

    def _member(self, name: str) -> Member:
        addresses = {"address": self._addresses[name]}
        return Member(name, Role.REDIS, addresses, self._prepare, ended=self._clocks.forget)

    async def _prepare(self, member: Member) -> Command:
        place = self._places[member.name]
        if member.name in self._unwanted:
            place.clear()
            self._unwanted.discard(member.name)
        # Everybody sees the arguments of a process.
        configuration = place.path / CONFIGURATION
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration(member.name))
        return Command(
            (str(valkey_program()), CONFIGURATION),
            {**os.environ, **self._clocks.environment(member.name, member.role)},
            self._logs / f"{member.name}.log",
            directory=place.directory,
            enter=place.enter,
        )

    def _configuration(self, name: str) -> str:
        settings = {
            "bind": LOOPBACK,
            "port": str(port_of(self._addresses[name])),
            "dir": f'"{self._places[name].directory}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "repl-timeout": "10",
            "repl-diskless-sync-delay": "0",
            "masteruser": ADMIN,
            "masterauth": self._passwords[ADMIN],
        }
        if name == self.replica:
            settings["replicaof"] = f"{LOOPBACK} {port_of(self._upstream)}"
        users = (self._user(USER, "+@all -@admin"), self._user(ADMIN, "+@all"))
        return "".join(f"{line}\n" for line in (*(f"{key} {value}" for key, value in settings.items()), *users))

    def _user(self, name: str, commands: str) -> str:
        return f"user {name} reset on >{self._passwords[name]} ~* &* {commands}"
