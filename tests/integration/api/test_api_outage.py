"""Stores that go away and come back, and the scheduler's own start and end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.telemetry.health import LIVENESS
from taskyard_core.wire.gen import cluster_service_pb2, task_pb2, task_service_pb2, task_service_pb2_grpc
from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.port import free_port
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.valkey import Valkey
from tests.conftest import DatabaseMaker, running
from tests.integration.api.conftest import Api, refused, serve, settings
from tests.integration.api.stage import Stage

NOBODY = "127.0.0.1:1"


@pytest_asyncio.fixture(loop_scope="session")
async def own_postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A Postgres that the test may stop."""
    async with running(Postgres(tmp_path / "postgres")) as server:
        yield server


def submit_request() -> task_service_pb2.SubmitTaskRequest:
    return task_service_pb2.SubmitTaskRequest(task=task_pb2.TaskSpec(type="demo.echo"))


async def health(api: Api, wanted: int) -> None:
    """Wait until the overall health is that."""
    watch = health_pb2_grpc.HealthStub(api.channel).Watch(health_pb2.HealthCheckRequest())
    async for answer in watch:
        if answer.status == wanted:
            break
    watch.cancel()


async def accepted_again(api: Api) -> None:
    """A connection that broke in the outage may cost a submit or two: nobody can know whether they arrived."""
    while True:
        try:
            await api.tasks.SubmitTask(submit_request())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return


async def test_postgres_goes_away_and_comes_back(own_postgres: Postgres, valkey_server: Valkey) -> None:
    await asyncio.to_thread(migrate, own_postgres.database_url("taskyard"))
    configured = settings(own_postgres.database_url("taskyard"), f"{valkey_server.url}/8", NOBODY)
    async for api in serve(configured):
        first = (await api.tasks.SubmitTask(submit_request())).task
        watched = aiter(api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=[first.id])))
        # Its first answer says that it now waits, and asks Postgres nothing more until something has happened.
        assert list((await anext(watched)).tasks) == [first]
        await health(api, health_pb2.HealthCheckResponse.SERVING)

        own_postgres.kill()
        await health(api, health_pb2.HealthCheckResponse.NOT_SERVING)
        refusal = await refused(api.tasks.SubmitTask(submit_request()))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        assert refusal.metadata == {"store": "postgres"}
        assert refusal.retry_after
        answer = await api.http.post("/v1/tasks", json={"type": "demo.echo"})
        assert (answer.status_code, answer.json()["reason"]) == (503, "UNAVAILABLE")
        assert answer.json()["metadata"] == {"store": "postgres"}
        assert answer.headers["retry-after"] == "1"
        assert (await api.http.get(f"/v1/tasks/{first.id}")).status_code == 503
        assert (await api.http.get("/readyz")).status_code == 503
        assert (await api.http.get("/livez")).status_code == 200

        await own_postgres.start()
        await own_postgres.wait_ready()
        await health(api, health_pb2.HealthCheckResponse.SERVING)
        assert (await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=first.id))) == first
        await asyncio.wait_for(accepted_again(api), timeout=3)
        assert (await api.http.get("/readyz")).status_code == 200
        # The watch has outlasted it all.
        await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=first.id))
        assert [task.state for task in (await anext(watched)).tasks] == [task_pb2.TASK_STATE_CANCELLED]


async def test_a_postgres_that_takes_no_tasks_is_seen_although_it_answers_everything_else(
    fresh_database: DatabaseMaker,
) -> None:
    async with fresh_database("template1") as url:
        await asyncio.to_thread(migrate, url)
        async for api in serve(settings(url, f"redis://{NOBODY}", NOBODY)):
            connection = await asyncpg.connect(url)
            # As a full disk: only what writes rows is refused.
            await connection.execute(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;"
                "CREATE TRIGGER full_disk BEFORE INSERT ON taskyard.task EXECUTE FUNCTION full_disk()"
            )
            refusal = await refused(api.tasks.SubmitTask(submit_request()))
            assert (refusal.reason, refusal.metadata) == ("UNAVAILABLE", {"store": "postgres"})
            answer = await api.http.get("/readyz")
            assert answer.status_code == 503
            assert "could not extend file" in answer.text
            await connection.execute("DROP TRIGGER full_disk ON taskyard.task")
            await api.tasks.SubmitTask(submit_request())
            assert (await api.http.get("/readyz")).status_code == 200
            await connection.close()


async def test_everything_but_the_cluster_works_without_redis_and_etcd(fresh_database: DatabaseMaker) -> None:
    async with fresh_database("template1") as url:
        await asyncio.to_thread(migrate, url)
        database = await Database.open(url)
        async for api in serve(settings(url, f"redis://{NOBODY}", NOBODY)):
            assert (await api.http.get("/readyz")).status_code == 200
            running_one, waiting_one = await api.submit("ns"), await api.submit("ns")
            stage = Stage(database)
            await stage.hello("ns")
            await stage.run([running_one.id])
            wait = task_service_pb2.WaitTaskRequest(id=running_one.id, wait=Duration(seconds=30))
            waiting = asyncio.ensure_future(api.tasks.WaitTask(wait))
            await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=waiting_one.id))
            asked = await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=running_one.id))
            assert asked.cancel_requested
            await stage.fail(running_one.id)
            assert (await waiting).state == task_pb2.TASK_STATE_CANCELLED
            refusal = await refused(api.cluster.GetCluster(cluster_service_pb2.GetClusterRequest()))
            assert (refusal.reason, refusal.metadata) == ("UNAVAILABLE", {"store": "etcd"})
            # What could not be published stays for the leader.
            assert await stage.count("outbox") == 2
        await database.close()


async def test_a_scheduler_that_stops_sends_its_waiters_elsewhere(
    fresh_database: DatabaseMaker, valkey_server: Valkey
) -> None:
    async with fresh_database("template1") as url:
        await asyncio.to_thread(migrate, url)
        async for api in serve(settings(url, f"{valkey_server.url}/7", NOBODY)):
            task = await api.submit("ns")
            wait = task_service_pb2.WaitTaskRequest(id=task.id, wait=Duration(seconds=60))
            waiting = asyncio.ensure_future(api.tasks.WaitTask(wait))
            watching = api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=[task.id]))
            await watching.read()
            over_rest = asyncio.create_task(api.http.get(f"/v1/tasks/{task.id}?wait=60s"))
            # Each has begun to wait once a later call of its own kind was answered.
            await api.http.get(f"/v1/tasks/{task.id}?wait=0.01s")
            await api.tasks.WaitTask(task_service_pb2.WaitTaskRequest(id=task.id, wait=Duration(nanos=10_000_000)))
            stopping = asyncio.create_task(api.scheduler.service.stop())
            assert (await refused(waiting)).reason == "UNAVAILABLE"
            assert (await refused(watching.read())).reason == "UNAVAILABLE"
            assert (await over_rest).status_code == 503
            await stopping


async def test_a_scheduler_that_stops_says_so_while_it_still_serves(
    fresh_database: DatabaseMaker, valkey_server: Valkey
) -> None:
    async with fresh_database("template1") as url:
        await asyncio.to_thread(migrate, url)
        async for api in serve(settings(url, f"{valkey_server.url}/6", NOBODY)):
            watch = health_pb2_grpc.HealthStub(api.channel).Watch(health_pb2.HealthCheckRequest(service=LIVENESS))
            answers = aiter(watch)
            assert (await anext(answers)).status == health_pb2.HealthCheckResponse.SERVING
            stopping = asyncio.create_task(api.scheduler.service.stop())
            assert (await anext(answers)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert (await api.submit("ns")).id
            watch.cancel()
            await stopping


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_starts_without_stores_and_ends_in_order(how: signal.Signals) -> None:
    rest, grpc_ = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    environment = os.environ | {
        "TASKYARD_POSTGRES_URL": f"postgresql://taskyard@{NOBODY}/taskyard",
        "TASKYARD_REDIS_URL": f"redis://{NOBODY}/0",
        "TASKYARD_ETCD_ENDPOINTS": NOBODY,
        "TASKYARD_REST_ADDRESS": "127.0.0.1:2",
    }
    arguments = ("scheduler", "--rest-address", rest, "--grpc-address", grpc_)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskyard_server", *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async for line in process.stderr:
        if b"scheduler ready" in line:
            break
    async with httpx.AsyncClient(base_url=f"http://{rest}") as http:
        assert (await http.get("/livez")).status_code == 200
        ready = await http.get("/readyz")
        assert (ready.status_code, "postgres" in ready.text) == (503, True)
    async with grpc.aio.insecure_channel(grpc_) as channel:
        refusal = await refused(task_service_pb2_grpc.TaskServiceStub(channel).SubmitTask(submit_request()))
        assert refusal.metadata == {"store": "postgres"}
    process.send_signal(how)
    rest_of_log = await process.stderr.read()
    assert await process.wait() == 0, rest_of_log.decode()


async def test_lists_that_take_long_take_nothing_from_submits_and_readiness(
    fresh_database: DatabaseMaker, valkey_server: Valkey, etcd_server: Etcd
) -> None:
    async with fresh_database("template1") as url:
        await asyncio.to_thread(migrate, url)
        configured = settings(url, f"{valkey_server.url}/10", etcd_server.url)
        async for api in serve(configured.model_copy(update={"etcd_prefix": "/lists"})):
            connection = await asyncpg.connect(url)
            # Whoever reads a row of the table of queues is slow, as over a million of them.
            await connection.execute(
                "INSERT INTO taskyard.queue (namespace, name) VALUES ('default', 'slow');"
                "CREATE POLICY slow ON taskyard.queue USING (pg_sleep(30) IS NOT NULL);"
                "ALTER TABLE taskyard.queue ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
            )
            lists = [asyncio.create_task(api.http.get("/v1/queues")) for _ in range(30)]
            while not await _slow(connection):
                pass
            for _ in range(50):
                await api.tasks.SubmitTask(submit_request())
                assert (await api.http.get("/readyz")).status_code == 200
            assert len(await connection.fetch(_LISTS)) <= api.scheduler.parts.settings.list_connections
            assert {answer.status_code for answer in await asyncio.gather(*lists)} <= {200, 503}
            await connection.close()


_LISTS = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%-lists' AND datname = current_database()"


async def _slow(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    return len(await connection.fetch(f"{_LISTS} AND wait_event = 'PgSleep'"))
