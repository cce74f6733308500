"""Each store: started, stopped, killed and started again on the same directory."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import pytest_asyncio
import redis.asyncio

from taskyard_server.dev import postgres
from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.occupant import OccupiedError, occupants
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.process import ProcessError
from taskyard_server.dev.store import Store
from taskyard_server.dev.valkey import Valkey

Write = Callable[[Any], Awaitable[None]]
Read = Callable[[Any], Awaitable[str | None]]


async def write_postgres(store: Postgres) -> None:
    connection = await asyncpg.connect(store.url)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('kept')")
    await connection.close()


async def read_postgres(store: Postgres) -> str | None:
    connection = await asyncpg.connect(store.url)
    word = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    assert word is None or isinstance(word, str)
    return word


async def write_valkey(store: Valkey) -> None:
    async with redis.asyncio.Redis.from_url(store.url) as client:
        await client.set("word", "kept")


async def read_valkey(store: Valkey) -> str | None:
    async with redis.asyncio.Redis.from_url(store.url) as client:
        word = await client.get("word")
    return word.decode() if isinstance(word, bytes) else word


def ask_etcd(store: Etcd, verb: str, **fields: str) -> dict[str, Any]:
    coded = {name: base64.b64encode(text.encode()).decode() for name, text in fields.items()}
    request = urllib.request.Request(f"http://{store.url}/v3/kv/{verb}", data=json.dumps(coded).encode())
    with urllib.request.urlopen(request) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer


async def write_etcd(store: Etcd) -> None:
    await asyncio.to_thread(ask_etcd, store, "put", key="word", value="kept")


async def read_etcd(store: Etcd) -> str | None:
    answer = await asyncio.to_thread(ask_etcd, store, "range", key="word")
    found = answer.get("kvs", [])
    return base64.b64decode(found[0]["value"]).decode() if found else None


MAKERS = [
    pytest.param(Postgres, write_postgres, read_postgres, id="postgres"),
    pytest.param(Valkey, write_valkey, read_valkey, id="valkey"),
    pytest.param(Etcd, write_etcd, read_etcd, id="etcd"),
]


async def started(store: Store) -> Store:
    await store.start()
    await store.wait_ready()
    return store


@pytest_asyncio.fixture(loop_scope="session")
async def stores() -> AsyncIterator[list[Store]]:
    """Stores put in here are stopped at the end of the test."""
    kept: list[Store] = []
    yield kept
    for store in kept:
        await store.stop()


@pytest.mark.parametrize(("kind", "write", "read"), MAKERS)
async def test_data_outlives_stop_and_kill(
    kind: type[Store], write: Write, read: Read, tmp_path: Path, stores: list[Store]
) -> None:
    store = kind(tmp_path / "data")
    stores.append(store)
    await started(store)
    await write(store)

    await store.stop()
    assert not store.running
    # etcd ends itself by the signal once it has shut down.
    assert store.process.exit_code in (0, -signal.SIGTERM)
    again = kind(tmp_path / "data")
    stores.append(again)
    assert await read(await started(again)) == "kept"

    again.kill()
    assert await again.process.wait(10) == -signal.SIGKILL
    assert await read(await started(again)) == "kept"


@pytest.mark.parametrize(("kind", "write", "read"), MAKERS)
async def test_child_is_the_server_and_has_a_session_of_its_own(
    kind: type[Store], write: Write, read: Read, tmp_path: Path, stores: list[Store]
) -> None:
    store = kind(tmp_path / "data")
    stores.append(store)
    await started(store)
    assert store.pid is not None
    assert psutil.Process(store.pid).exe() == str(store.binary)
    assert os.getsid(store.pid) == store.pid
    assert store.pid in {process.pid for process in occupants(store.binary, store.directory)}


async def test_second_server_on_a_directory_is_refused(
    tmp_path: Path, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Valkey(tmp_path / "data")
    stores.append(store)
    await started(store)
    now = iter(range(1_000_000))
    other = Valkey(tmp_path / "data")
    monkeypatch.setattr(other, "_clock", lambda: 10.0 * next(now))
    with pytest.raises(OccupiedError, match=rf"in use by process {store.pid} \(valkey-server\)"):
        await other.start()


async def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "appendonlydir").write_text("not a directory")
    store = Valkey(tmp_path / "data")
    await store.start()
    with pytest.raises(ProcessError, match=r"(?s)redis ended with code 1; see .*Not a directory"):
        await store.wait_ready()


async def test_postgres_starts_over_a_lock_file_that_names_a_stranger(tmp_path: Path, stores: list[Store]) -> None:
    store = Postgres(tmp_path / "data")
    stores.append(store)
    await started(store)
    lock = store.directory / "postmaster.pid"
    lines = lock.read_text().splitlines()
    store.kill()
    await store.process.wait(10)
    # The number of the killed server has been given to another process of the same user.
    lock.write_text("\n".join([str(os.getppid()), *lines[1:]]))
    await started(store)


async def test_postgres_waits_for_the_sessions_of_a_killed_server(tmp_path: Path, stores: list[Store]) -> None:
    store = Postgres(tmp_path / "data")
    stores.append(store)
    await started(store)
    connection = await asyncpg.connect(store.url)
    busy = "DO $$ BEGIN FOR i IN 1..2000000000 LOOP PERFORM i; END LOOP; END $$"
    loop = asyncio.ensure_future(connection.execute(busy))
    await sessions_busy(store)
    store.kill()
    await store.process.wait(10)
    await started(store)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await loop
    connection.terminate()


async def sessions_busy(store: Postgres) -> None:
    """Waits until another session runs a statement."""
    watcher = await asyncpg.connect(store.url)
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'"
    while await watcher.fetchval(query) == 0:
        pass
    await watcher.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
async def test_postgres_as_nobody_where_namespaces_are_refused(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch, nobodys_path: Path
) -> None:
    monkeypatch.setattr(postgres, "can_map_user", lambda: False)
    store = Postgres(nobodys_path / "data")
    stores.append(store)
    await started(store)
    assert store.pid is not None
    assert psutil.Process(store.pid).uids().real == 65534
    await write_postgres(store)
    await store.stop()

    # And back again, on the same data, on a kernel that allows them.
    monkeypatch.undo()
    await started(store)
    assert await read_postgres(store) == "kept"


@pytest.fixture
def nobodys_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that every user can enter."""
    path = tmp_path_factory.mktemp("nobody")
    for directory in (path, *path.parents):
        if directory.stat().st_uid == os.geteuid() and directory.is_relative_to(tempfile.gettempdir()):
            directory.chmod(directory.stat().st_mode | 0o055)
    return path


START_AND_WAIT = """
import asyncio, sys, pathlib
from taskyard_server.dev.{module} import {kind}
async def main():
    store = {kind}(pathlib.Path(sys.argv[1]))
    await store.start()
    await store.wait_ready()
    print(store.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels send no signal")
@pytest.mark.parametrize("kind", [Postgres, Valkey, Etcd])
def test_server_does_not_outlive_a_killed_supervisor(kind: type[Store], tmp_path: Path) -> None:
    script = START_AND_WAIT.format(module=kind.__module__.rpartition(".")[2], kind=kind.__name__)
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "data")], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        server = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.kill()
    server.wait(timeout=30)
