"""Postgres is killed: nobody is told a lie meanwhile, and afterwards everything that was acknowledged gets done."""

import signal
import time
import uuid

import grpc
import pytest
from redis.asyncio import Redis

from taskyard import AttemptOutcome, TaskHandle, TaskRequest, TaskState, Unavailable
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen.task_pb2 import TaskSpec
from taskyard_core.wire.gen.task_service_pb2 import SubmitTaskRequest
from taskyard_core.wire.gen.task_service_pb2_grpc import TaskServiceStub
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.late_worker import SELECTOR, late_worker
from tests.e2e.load import steady_load
from tests.e2e.long_tasks import LongTasks
from tests.e2e.own_stores import OwnStores, end, frozen, passed, start_again
from tests.e2e.raw_session import raw_session

OUTAGE = 8.0
REFUSED_WITHIN = 2.0
BACK_WITHIN = 3.0
SETTLES = 40.0
GRACE = 3.0
MOST_IN_FLIGHT = 2 * 500
"""What the only worker's slots allow, twice: a batch that is being claimed and the next."""


async def refused_by_grpc(cluster: DevCluster) -> float:
    """Submits one task over gRPC; returns how long the refusal took."""
    async with grpc.aio.insecure_channel(cluster.addresses("scheduler-1")["grpc"]) as channel:
        request = SubmitTaskRequest(task=TaskSpec(type="demo.echo", payload=b"1"))
        began = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await TaskServiceStub(channel).SubmitTask(request, timeout=20)
        took = time.monotonic() - began
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "postgres" in (refusal.value.details() or "")
    return took


async def refused_by_rest(cluster: DevCluster) -> float:
    """Submits one task over REST; returns how long the refusal took."""
    began = time.monotonic()
    answer = await cluster.rest.post("/v1/tasks", json={"type": "demo.echo", "payload": 1})
    assert answer.status_code == 503, answer.text
    assert answer.json()["reason"] == "UNAVAILABLE"
    assert "retry-after" in answer.headers
    return time.monotonic() - began


async def test_what_was_acknowledged_survives_a_crash_of_postgres(
    cluster: DevCluster, stores: OwnStores, figure: Figure
) -> None:
    await cluster.whole()
    # A backlog, so that dispatchers are in the middle of claims; and tasks that end while Postgres is away.
    outcomes = await cluster.client.submit_many([TaskRequest("demo.sleep", {"seconds": 0.2}, priority=1)] * 4000)
    backlog = [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
    long = await LongTasks.start(cluster.client, count=20, seconds=4)
    async with steady_load(cluster.client) as load:
        await eventually(lambda: enough(load.ids, 50), within=10)
        await end(stores.postgres, signal.SIGQUIT)
        killed = time.monotonic()
        slowest = max([await refused_by_grpc(cluster) for _ in range(5)] + [await refused_by_rest(cluster)])
        figure("slowest refusal while Postgres was down (s)", slowest)
        assert slowest < REFUSED_WITHIN
        await eventually(lambda: passed(killed + OUTAGE), within=OUTAGE + 1)
        await start_again(stores.postgres)
        back = time.monotonic()
        figure("Postgres was away for (s)", back - killed)
        await eventually(lambda: enough(load.between(back, time.monotonic()), 1), within=BACK_WITHIN, every=0.01)
        figure("Postgres back until the first submit (s)", time.monotonic() - back)
        await long.ended(within=10)
        figure("Postgres back until results from meanwhile were accepted (s)", time.monotonic() - back)
        await eventually(lambda: enough(load.between(back, time.monotonic()), 50), within=10)
    assert all(isinstance(refusal.error, Unavailable) for refusal in load.refusals)
    figure("submits refused", len(load.refusals))
    await eventually(lambda: cluster.records.all_ended([*load.ids, *backlog]), within=SETTLES)
    figure("Postgres back until the whole backlog was done (s)", time.monotonic() - back)
    assert await cluster.records.not_once([*load.ids, *backlog, *long.ids]) == []


async def test_lanes_are_not_emptied_while_nothing_can_be_claimed(
    cluster: DevCluster, stores: OwnStores, figure: Figure
) -> None:
    """Entries that are read and cannot be claimed are out of everybody's reach for a while."""
    await cluster.whole()
    outcomes = await cluster.client.submit_many([TaskRequest("demo.noop", selector=SELECTOR)] * 20_000)
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
    async with late_worker(cluster):

        async def some_ran() -> bool:
            return (await cluster.records.states(ids)).get("SUCCEEDED", 0) > 1000

        await eventually(some_ran, within=15, every=0.01)
        await end(stores.postgres, signal.SIGQUIT)
        killed = time.monotonic()
        await eventually(lambda: passed(killed + 3), within=4)
        entries, pending = await lane_contents(stores.redis.url)
        figure("entries left in the lanes", entries)
        figure("of them read by somebody", pending)
        assert entries > 5000
        assert pending <= MOST_IN_FLIGHT
        await start_again(stores.postgres)
        back = time.monotonic()
        await eventually(lambda: cluster.records.all_ended(ids), within=SETTLES, every=0.2)
        figure("Postgres back until all was done (s)", time.monotonic() - back)
    assert await cluster.records.not_once(ids) == []


async def lane_contents(redis_url: str) -> tuple[int, int]:
    """How many entries the lanes hold, and how many of them were read and not dealt with."""
    async with Redis.from_url(redis_url) as redis:
        streams = [key async for key in redis.scan_iter(_type="stream")]
        entries = [await redis.xlen(stream) for stream in streams]
        groups = [group for stream in streams for group in await redis.xinfo_groups(stream)]
    return sum(entries), sum(group["pending"] for group in groups)


async def test_a_worker_that_dies_while_postgres_is_away_is_noticed_afterwards(
    cluster: DevCluster, stores: OwnStores, figure: Figure
) -> None:
    await cluster.whole()
    long = await LongTasks.start(cluster.client, count=1, seconds=6)
    first = (await long.tasks())[0]
    await end(stores.postgres, signal.SIGQUIT)
    cluster.signal(first.worker, signal.SIGKILL)
    killed = time.monotonic()
    await eventually(lambda: passed(killed + 5), within=6)
    await start_again(stores.postgres)
    back = time.monotonic()

    async def runs_again() -> bool:
        task = (await long.tasks())[0]
        return (task.state, task.attempt) == (TaskState.RUNNING, 2)

    await eventually(runs_again, within=15)
    figure("Postgres back until the task of a worker killed meanwhile ran again (s)", time.monotonic() - back)
    await long.ended(within=20)


async def test_a_worker_that_lost_its_stream_meanwhile_has_its_grace_afterwards(
    cluster: DevCluster, stores: OwnStores
) -> None:
    """It could not say hello while Postgres was away, and keeps what it runs."""
    await cluster.whole()
    type_, worker = "by-hand.grace", str(uuid.uuid4())
    handle = await cluster.client.submit(type_, 1)
    address = cluster.addresses("dispatcher-1")["session"]
    async with raw_session(address, worker, types=[type_], slots=1) as session:
        assignment = await session.assignment()
        await end(stores.postgres, signal.SIGQUIT)
    broken = time.monotonic()
    await eventually(lambda: passed(broken + GRACE + 3), within=GRACE + 4)
    await start_again(stores.postgres)
    back = time.monotonic()
    # As late as a worker may come that tries every two seconds.
    await eventually(lambda: passed(back + 2), within=3)
    held = [(assignment.task_id, assignment.attempt)]
    address = cluster.addresses("dispatcher-2")["session"]
    async with raw_session(address, worker, types=[type_], slots=1, running=held) as session:
        result = wire.TaskResult(task_id=assignment.task_id, attempt=1, result=b"1")
        assert await session.verdict(result) == wire.VERDICT_ACCEPTED
        session.send(wire.WorkerFrame(goodbye=True))
        await handle.result(timeout=5)
    task = await handle.get()
    assert (task.attempt, task.crashes) == (1, 0)
    assert [run.outcome for run in await cluster.client.attempts(handle.id)] == [AttemptOutcome.SUCCEEDED]


async def test_a_postgres_that_hangs_costs_no_task_another_run(
    cluster: DevCluster, stores: OwnStores, figure: Figure
) -> None:
    await cluster.whole()
    async with steady_load(cluster.client) as load:
        long = await LongTasks.start(cluster.client, count=20, seconds=5)
        since = await cluster.records.now()
        async with frozen(stores.postgres):
            began = time.monotonic()
            await eventually(lambda: passed(began + OUTAGE), within=OUTAGE + 1)
        await long.ended(within=10)
        back = time.monotonic()
        await eventually(lambda: enough(load.between(back, time.monotonic()), 50), within=10)
        until = await cluster.records.now()
    await eventually(lambda: cluster.records.all_ended(load.ids), within=SETTLES)
    pause = await cluster.records.longest_pause(load.ids, since, until)
    figure(f"longest pause between endings while Postgres hung for {OUTAGE} s (s)", pause)
    assert pause < OUTAGE + BACK_WITHIN
    assert await cluster.records.not_once([*load.ids, *long.ids]) == []


async def enough(found: list[str], count: int) -> bool:
    return len(found) >= count
