"""Histories of a real cluster: good while it is only killed, and caught where somebody tampers with it."""

import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chaos.checks import verdict
from chaos.workloads import FLEET, workload
from tests.e2e.chaos_run import Run, chaos_run, fleet
from tests.e2e.dev_cluster import dev_cluster

# Without poison: each quarantine takes four losses of a session, that is a dozen seconds.
LOAD = "plain=60,keyed=10,retries=6,placed=6,priorities=6,delayed=4,cancelled=4,redriven=2,large=0.5,hostile=4,rows=1"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """A cluster whose history is being recorded."""
    directory = tmp_path_factory.mktemp("chaos")
    async with (
        dev_cluster(directory / "cluster", "--workers", "0", "--dispatchers", "2") as cluster,
        chaos_run(cluster, directory / "logs") as running,
    ):
        yield running


async def test_a_run_with_kills_is_good_and_tampering_is_caught(run: Run) -> None:
    load = workload(LOAD)
    async with fleet(run.cluster, run.logs, FLEET) as workers:
        await workers.connected(run.cluster.client)
        await run.load(load, rate=200, seconds=3, seed=1)
        workers.kill("general-1")
        run.cluster.signal("dispatcher-1", signal.SIGKILL)
        await run.load(load, rate=200, seconds=3, seed=2)
        await run.drained(within=40)
        await run.lost_a_session(within=20)
        history = await run.history()
    found = verdict(history)
    assert found.good, "\n".join(map(str, found.violations))
    assert not list(load.check(history))
    assert len(history.submits) > 500
    assert any(not change.live for change in history.sessions)
    for statement, invariant in TAMPERING.items():
        task = await run.connection.fetchval(statement)
        violations = [v for v in verdict(await run.history()).violations if v.task == task]
        assert invariant in {violation.invariant for violation in violations}
        assert all("QUEUED -> RUNNING" in "\n".join(violation.story) for violation in violations)


_SOME = "(SELECT id FROM taskyard.task WHERE state = 'SUCCEEDED' ORDER BY random() LIMIT 1)"
TAMPERING = {
    f"UPDATE taskyard.task SET result = 'x' WHERE id = {_SOME} RETURNING id::text": "one-outcome",
    f"UPDATE taskyard.task SET attempt = attempt + 1 WHERE id = {_SOME} RETURNING id::text": "attempts",
    f"UPDATE taskyard.task SET state = 'QUEUED', finished_at = NULL WHERE id = {_SOME} RETURNING id::text": "no-loss",
    f"UPDATE taskyard.task SET crashes = 9 WHERE id = {_SOME} RETURNING id::text": "budgets",
    f"DELETE FROM taskyard.task WHERE id = {_SOME} RETURNING id::text": "no-loss",
}
"""What nobody may do, by the invariant that it breaks; each on a task of its own."""
