"""Who gets into the stores that this project starts: those who know a password, and nobody else."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio
import redis.exceptions

from taskyard_core.storage.etcd import Etcd as EtcdClient
from taskyard_core.storage.etcd import EtcdError, EtcdSettings
from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.process import ProcessError
from taskyard_server.dev.state import OpenDirectoryError, make_private
from taskyard_server.dev.store import Store
from taskyard_server.dev.valkey import Valkey
from tests.conftest import running


def arguments(process: psutil.Process) -> list[str]:
    """None of a process that has just ended, as those of connections do."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def told_to_all(store: Store, secret: str) -> list[str]:
    """Where every user of the machine could read a secret: arguments of processes, and what is printed or logged."""
    assert store.pid is not None
    server = psutil.Process(store.pid)
    seen = [" ".join(arguments(process)) for process in (server, *server.children(recursive=True))]
    return [text for text in (*seen, store.log.read_text()) if secret in text]


def mode(path: Path | os.DirEntry[str]) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_postgres_lets_nobody_in_without_a_password_and_its_servers_do_no_more_than_they_must(
    tmp_path: Path,
) -> None:
    async with running(Postgres(tmp_path / "postgres", durable=False)) as store:
        for user in ("taskyard", "postgres"):
            for password in (None, "wrong"):
                with pytest.raises(asyncpg.InvalidPasswordError):
                    await asyncpg.connect(
                        host="127.0.0.1", port=store.port, user=user, password=password, database="taskyard"
                    )
            assert told_to_all(store, store.secret(user)) == []
        connection = await asyncpg.connect(store.url)
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        for forbidden in ("COPY (SELECT 1) TO PROGRAM 'true'", "COPY (SELECT 1) TO '/tmp/x'", "CREATE ROLE other"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
        await connection.close()
        assert store.secret("taskyard") != store.secret("postgres")
    assert mode(store.directory) == 0o700
    assert {mode(path) for path in os.scandir(tmp_path) if path.name.endswith(".secret")} == {0o600}


async def test_valkey_lets_nobody_in_without_a_password_and_its_servers_cannot_configure_it(tmp_path: Path) -> None:
    async with running(Valkey(tmp_path / "redis")) as store:
        for url in (f"redis://127.0.0.1:{store.port}/0", f"redis://:wrong@127.0.0.1:{store.port}/0"):
            async with redis.asyncio.Redis.from_url(url) as client:
                with pytest.raises(redis.exceptions.AuthenticationError):
                    await client.ping()
        async with redis.asyncio.Redis.from_url(store.url) as client:
            assert await client.ping()
            for forbidden in (
                "CONFIG SET dir /tmp",
                "MODULE LIST",
                "SAVE",
                "SHUTDOWN",
                "REPLICAOF 127.0.0.1 1",
                "ACL LIST",
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    await client.execute_command(forbidden)  # type: ignore[no-untyped-call]
        for user in ("default", "admin"):
            assert told_to_all(store, store.secret(user)) == []
    assert mode(store.directory) == 0o700
    assert mode(store.directory / "valkey.conf") == 0o600


async def test_etcd_lets_nobody_in_without_a_password(tmp_path: Path) -> None:
    store = Etcd(tmp_path / "etcd", passwords=True)
    for _ in range(2):
        async with running(store):
            for login in ({}, {"username": "taskyard", "password": "wrong"}, {"username": "root", "password": ""}):
                async with EtcdClient(EtcdSettings(endpoints=(store.url,), **login)) as etcd:  # type: ignore[arg-type]
                    with pytest.raises(EtcdError):
                        await etcd.kv.put("key", b"value")
            login = {"username": store.user, "password": store.password}
            async with EtcdClient(EtcdSettings(endpoints=(store.url,), **login)) as etcd:  # type: ignore[arg-type]
                await etcd.kv.put("key", b"value")
                assert (await etcd.access.size()).used > 0
            assert told_to_all(store, store.password) == []
            assert store.pid is not None
            listening = psutil.Process(store.pid).net_connections("tcp")
            assert {found.laddr.port for found in listening if found.status == psutil.CONN_LISTEN} == {store.port}
    assert mode(store.directory) == 0o700


async def test_data_of_an_earlier_version_of_etcd_and_valkey_gets_passwords(tmp_path: Path) -> None:
    async with running(Etcd(tmp_path / "etcd")) as before, EtcdClient(EtcdSettings(endpoints=(before.url,))) as etcd:
        await etcd.kv.put("key", b"kept")
    async with running(Etcd(tmp_path / "etcd", passwords=True)) as store:
        settings = EtcdSettings(endpoints=(store.url,), username=store.user, password=store.password)
        async with EtcdClient(settings) as etcd:
            found = await etcd.kv.get("key")
            assert found is not None
            assert found.value == b"kept"


async def test_data_of_an_earlier_version_of_postgres_is_refused_with_what_to_do(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    directory.mkdir()
    (directory / "PG_VERSION").write_text("18\n")
    with pytest.raises(ProcessError, match=r"let every user of this machine in: delete .* To keep its tasks, dump"):
        await Postgres(directory).start()
    assert (directory / "PG_VERSION").exists()


def test_the_state_directory_is_its_owners_alone(tmp_path: Path) -> None:
    new = tmp_path / "new"
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    (old / "lock").touch()
    for directory in (new, old):
        make_private(directory)
        assert mode(directory) == 0o700
    own = tmp_path / "home"
    own.mkdir(mode=0o755)
    (own / "thesis.tex").touch()
    with pytest.raises(OpenDirectoryError, match="chmod 700"):
        make_private(own)
    own.chmod(0o700)
    make_private(own)


def test_another_user_cannot_look_into_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(0o755)
    state = tmp_path / "state"
    make_private(state)
    (state / "cluster.json").write_text("{}")
    look = f"import os; os.setgid(12345); os.setuid(12345); open({str(state / 'cluster.json')!r})"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert "PermissionError" in said.stderr
