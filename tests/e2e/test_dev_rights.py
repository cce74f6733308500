"""A development cluster is its owner's: its passwords are told to its own processes, and to nobody else."""

import json
from pathlib import Path

import asyncpg
import psutil

from tests.e2e.dev_cluster import dev_cluster


async def test_no_password_is_seen_and_no_server_is_a_superuser(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with dev_cluster(state, "--dispatchers", "1", "--workers", "1") as cluster:
        assert await (await cluster.client.submit("demo.echo", 1)).result(timeout=20) == 1
        secrets = [path.read_text() for path in state.glob("*.secret")]
        assert len(set(secrets)) == len(secrets) == 6
        pids = json.loads((state / "cluster.json").read_text())["processes"]
        arguments = [" ".join(psutil.Process(entry["pid"]).cmdline()) for entry in pids]
        logs = [path.read_text() for path in (state / "logs").iterdir()]
        assert [text for text in (*arguments, *logs) if any(secret in text for secret in secrets)] == []
        worker = psutil.Process(cluster.pid("worker-1")).environ()
        assert not [name for name, value in worker.items() if any(secret in value for secret in secrets)]
        connection = await asyncpg.connect(cluster.addresses("postgres")["url"])
        users = "SELECT DISTINCT usename, usesuper FROM pg_stat_activity JOIN pg_user USING (usename) WHERE pid <> 0"
        served = await connection.fetch(f"{users} AND datname = 'taskyard'")
        assert [tuple(row) for row in served] == [("taskyard", False)]
        await connection.close()
    assert (state.stat().st_mode & 0o777, (state / "logs").stat().st_mode & 0o777) == (0o700, 0o700)
