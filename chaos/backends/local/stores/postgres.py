"""Postgres: a primary, and a standby without which nothing is committed."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from chaos.backends import database
from chaos.backends.cluster import Role
from chaos.backends.local.clock import Clocks
from chaos.backends.local.member import Member
from chaos.backends.local.place import Place
from chaos.backends.local.port import LOOPBACK, port_of
from chaos.backends.local.process import Command, kill_occupants, run
from chaos.backends.local.program import postgres_program, unprivileged
from chaos.backends.waiting import until

USER = DATABASE = "taskyard"
"""Owns the database, and is no superuser: one could run any program as whoever started the run."""
ADMIN = "postgres"
SLOT = "standby"
PROMOTION_SECONDS = 30

ACCESS_RULES = """\
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "huge_pages": "off",
    # Below the data: shared memory of a killed server would outlive it.
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "max_slot_wal_keep_size": "1GB",
    "wal_sender_timeout": "10s",
    "wal_receiver_timeout": "10s",
    "wal_retrieve_retry_interval": "500ms",
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "2000",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
}

IN_STEP = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'"
ATTACHED = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


class Postgres:
    """Two servers that may swap their roles. `upstream` is the proxied address that a standby follows."""

    def __init__(
        self, places: Mapping[str, Place], logs: Path, upstream: str, addresses: Mapping[str, str], clocks: Clocks
    ) -> None:
        self.primary, self.standby = places
        self._places = places
        self._logs = logs
        self._upstream = upstream
        self._addresses = addresses
        self._clocks = clocks
        self._passwords = {user: token_urlsafe(32) for user in (USER, ADMIN)}
        self._synchronous = False
        self._stale = set(places)  # have no data, or that of an old timeline
        self.members = {name: self._member(name) for name in places}

    @property
    def url(self) -> str:
        """URL of the primary, as the servers' user."""
        return self.url_at(self._addresses[self.primary])

    def url_at(self, address: str) -> str:
        """The same by another way there."""
        return self._url(USER, address, DATABASE)

    @property
    def address(self) -> str:
        """host:port of the primary."""
        return self._addresses[self.primary]

    async def start(self) -> None:
        """Makes both and waits until the standby is in step."""
        await self.members[self.primary].start()
        await until(self._answers)
        owner = f"CREATE ROLE \"{USER}\" LOGIN PASSWORD '{self._passwords[USER]}'"
        for statement in (owner, f'CREATE DATABASE "{DATABASE}" OWNER "{USER}"'):
            await database.execute(self._admin_url("postgres"), statement)
        await self.members[self.standby].start()
        await self.attach()

    async def attach(self) -> None:
        """Waits until the standby follows the primary; from then on commits wait for it."""
        await until(self._is_attached)
        self._synchronous = True
        self._write_settings(self.primary)
        await self.execute("SELECT pg_reload_conf()")
        await until(self.in_step)

    async def in_step(self) -> bool:
        """Whether the primary answers and commits on both."""
        return bool(await self._count(IN_STEP))

    async def promote(self) -> None:
        """Kills the primary and makes the standby the primary. The old one stays away until it is released.

        Waits until the standby is in step: a failover to one that is not would lose what was committed.
        """
        await until(self.in_step)
        old = self.members[self.primary]
        old.hold()
        await old.end()
        self.primary, self.standby = self.standby, self.primary
        self._synchronous = False
        self._stale.add(self.standby)
        await self.execute(f"SELECT pg_promote(true, {PROMOTION_SECONDS})")

    async def execute(self, sql: str) -> list[dict[str, Any]]:
        """Runs a statement on the primary, as its superuser."""
        return await database.execute(self._admin_url(DATABASE), sql)

    async def _count(self, sql: str) -> int:
        try:
            async with asyncio.timeout(10):
                (row,) = await self.execute(sql)
        except database.UNREACHABLE:
            return 0
        return int(row["count"])

    async def _is_attached(self) -> bool:
        return bool(await self._count(ATTACHED))

    async def _answers(self) -> bool:
        try:
            await database.execute(self._admin_url("postgres"), "SELECT 1")
        except database.UNREACHABLE:
            return False
        return True

    def _admin_url(self, name_of_database: str) -> str:
        return self._url(ADMIN, self._addresses[self.primary], name_of_database)

    def _url(self, user: str, address: str, name_of_database: str) -> str:
        return f"postgresql://{user}:{self._passwords[user]}@{address}/{name_of_database}"

    def _member(self, name: str) -> Member:
        addresses = {"address": self._addresses[name]}
        return Member(
            name, Role.POSTGRES, addresses, self._prepare, stop_signal=signal.SIGINT, ended=self._clocks.forget
        )

    async def _prepare(self, member: Member) -> Command:
        place = self._places[member.name]
        await kill_occupants(place.directory)
        if member.name in self._stale:
            await self._make(member.name)
            self._stale.discard(member.name)
        (place.path / "postmaster.pid").unlink(missing_ok=True)
        self._write_settings(member.name)
        server = self._command(member.name, "postgres", "-D", str(place.directory))
        clock = self._clocks.environment(member.name, Role.POSTGRES)
        return replace(server, environment={**server.environment, **clock})

    async def _make(self, name: str) -> None:
        place = self._places[name]
        place.clear()
        if name == self.primary:
            await self._make_first(name)
            return
        drop = f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{SLOT}'"
        await self.execute(drop)
        source = ("--host", LOOPBACK, "--port", str(port_of(self._upstream)), "--username", ADMIN)
        copy = ("--wal-method=stream", "--checkpoint=fast", "--no-sync", "--create-slot", f"--slot={SLOT}", "-R")
        backup = self._command(name, "pg_basebackup", f"--pgdata={place.directory}", *source, *copy)
        # It writes the password into the new standby's settings.
        await run(replace(backup, environment={**backup.environment, "PGPASSWORD": self._passwords[ADMIN]}))

    async def _make_first(self, name: str) -> None:
        place = self._places[name]
        # Beside the data: initdb wants its directory empty.
        password = self._logs / f"{name}.password"
        password.touch(mode=0o600)
        password.write_text(self._passwords[ADMIN])
        options = ("--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-instructions", "--no-sync")
        user = (f"--username={ADMIN}", f"--pwfile={password}")
        try:
            await run(self._command(name, "initdb", f"--pgdata={place.directory}", *user, *options))
        finally:
            password.unlink()

    def _command(self, name: str, program: str, *arguments: str) -> Command:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        place = self._places[name]
        return Command(
            (str(postgres_program(program)), *arguments),
            environment,
            self._logs / f"{name}.log",
            directory=place.directory,
            enter=(*place.enter, *unprivileged()),
        )

    def _write_settings(self, name: str) -> None:
        path = self._places[name].path
        synchronous = self._synchronous and name == self.primary
        settings = {
            **SETTINGS,
            "port": str(port_of(self._addresses[name])),
            "synchronous_standby_names": "ANY 1 (walreceiver)" if synchronous else "",
        }
        (path / "pg_hba.conf").write_text(ACCESS_RULES)
        (path / "postgresql.conf").write_text("".join(f"{key} = '{value}'\n" for key, value in settings.items()))
