"""A worker is killed: what it ran runs again elsewhere, soon, and nothing it says later counts."""

import signal
import time

from taskyard import AttemptOutcome, Task, TaskHandle, TaskState
from taskyard_core.wire.gen import worker_service_pb2 as wire
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.raw_session import raw_session

RUNS_AGAIN = 5.0


async def running_attempt(handle: TaskHandle, attempt: int, within: float) -> Task:
    async def runs() -> Task | None:
        task = await handle.get()
        return task if (task.state, task.attempt) == (TaskState.RUNNING, attempt) else None

    return await eventually(runs, within=within)


async def with_a_known_secret(cluster: DevCluster, handle: TaskHandle, attempt: int) -> tuple[str, bytes]:
    """The session of an attempt, whose own secret died with its worker, and another secret in its place."""
    secret = b"as if we were the lost worker"
    query = (
        "UPDATE taskyard.session s SET secret_hash = sha256($3) FROM taskyard.attempt a"
        " WHERE s.id = a.session AND a.task_id = $1 AND a.attempt = $2 AND s.secret_hash IS NOT NULL RETURNING s.id"
    )
    return str((await cluster.records.fetch(query, handle.id, attempt, secret))[0][0]), secret


async def test_a_killed_workers_task_runs_again_and_its_late_result_is_stale(
    cluster: DevCluster, figure: Figure
) -> None:
    await cluster.whole()
    handle = await cluster.client.submit("demo.sleep", {"seconds": 8})
    first = await running_attempt(handle, 1, within=5)
    session = (await cluster.client.attempts(handle.id))[0].session_id

    cluster.signal(first.worker, signal.SIGKILL)
    killed = time.monotonic()
    second = await running_attempt(handle, 2, within=RUNS_AGAIN)
    figure("worker killed until its task ran again (s)", time.monotonic() - killed)
    assert (second.crashes, second.failures) == (1, 0)

    late = wire.TaskResult(task_id=handle.id, attempt=1, result=b'"too late"')
    lost, secret = await with_a_known_secret(cluster, handle, attempt=1)
    address = cluster.addresses("dispatcher-1")["session"]
    async with raw_session(address, lost, types=["demo.sleep"], running=[(handle.id, 1)], secret=secret) as ghost:
        assert await ghost.verdict(late) == wire.VERDICT_STALE

    assert await handle.result(timeout=20) == 8
    assert (await handle.get()).attempt == 2
    runs = await cluster.client.attempts(handle.id)
    assert [run.outcome for run in runs] == [AttemptOutcome.CRASHED, AttemptOutcome.SUCCEEDED]
    # Perhaps a worker of the same name, which the supervisor has started meanwhile, but not the same one.
    assert runs[0].session_id == session != runs[1].session_id
