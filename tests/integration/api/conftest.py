"""A whole scheduler in this process, on real stores, and clients of both its APIs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any, cast

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.wire.gen import (
    cluster_service_pb2_grpc,
    queue_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)
from taskyard_scheduler.process import Scheduler
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.valkey import Valkey
from tests.conftest import DatabaseMaker
from tests.integration.api.stage import Stage

_namespaces = itertools.count(1)


@dataclass(frozen=True)
class Api:
    """A running scheduler and how to reach it."""

    scheduler: Scheduler
    channel: grpc.aio.Channel
    http: httpx.AsyncClient
    postgres_url: str

    @property
    def tasks(self) -> task_service_pb2_grpc.TaskServiceAsyncStub:
        return task_service_pb2_grpc.TaskServiceStub(self.channel)

    @property
    def queues(self) -> queue_service_pb2_grpc.QueueServiceAsyncStub:
        return queue_service_pb2_grpc.QueueServiceStub(self.channel)

    @property
    def cluster(self) -> cluster_service_pb2_grpc.ClusterServiceAsyncStub:
        return cluster_service_pb2_grpc.ClusterServiceStub(self.channel)

    async def submit(self, namespace: str, **fields: Any) -> task_pb2.Task:
        """A task of type demo.echo, submitted over gRPC."""
        fields = {"namespace": namespace, "type": "demo.echo", **fields}
        request = task_service_pb2.SubmitTaskRequest(task=task_pb2.TaskSpec(**fields))
        return (await self.tasks.SubmitTask(request)).task

    async def submit_many(self, namespace: str, count: int, **fields: Any) -> list[str]:
        """Ids of that many tasks, submitted over gRPC in one batch."""
        fields = {"namespace": namespace, "type": "demo.echo", **fields}
        specs = [task_pb2.TaskSpec(**fields) for _ in range(count)]
        request = task_service_pb2.SubmitTasksRequest(tasks=specs, ids_only=True)
        return [result.task.id for result in (await self.tasks.SubmitTasks(request)).results]


@dataclass(frozen=True)
class Refusal:
    """A call's error, taken apart."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    retry_after: float | None


async def refused(call: Awaitable[object]) -> Refusal:
    """The error that the gRPC call ends in."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    status = rpc_status.from_call(cast("grpc.Call", error))
    assert status is not None
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    found = [detail.Unpack(part) for detail in status.details for part in (info, bad, retry)]
    assert any(found)
    assert info.domain == "taskyard"
    return Refusal(
        error.code(),
        error.details() or "",
        info.reason,
        dict(info.metadata),
        [violation.field for violation in bad.field_violations],
        retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
    )


async def serve(settings: SchedulerSettings) -> AsyncIterator[Api]:
    scheduler = Scheduler(settings, Telemetry.silent())
    await scheduler.start()
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    async with (
        grpc.aio.insecure_channel(scheduler.grpc_address, options=options) as channel,
        httpx.AsyncClient(base_url=f"http://{scheduler.rest_address}", timeout=30) as http,
    ):
        yield Api(scheduler, channel, http, settings.postgres_url)
    await scheduler.service.stop()
    assert scheduler.service.failures == 0


def settings(postgres_url: str, redis_url: str, etcd: str) -> SchedulerSettings:
    values: dict[str, Any] = {
        "postgres_url": postgres_url,
        "redis_url": redis_url,
        "etcd_endpoints": etcd,
        "rest_address": "127.0.0.1:0",
        "grpc_address": "127.0.0.1:0",
        "pod_name": "test",
        "drain_timeout": 1,
    }
    return SchedulerSettings(**values)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(fresh_database: DatabaseMaker, valkey_server: Valkey, etcd_server: Etcd) -> AsyncIterator[Api]:
    """One scheduler for all tests that keep to a namespace of their own."""
    async with fresh_database("template1") as url:
        await asyncio.to_thread(migrate, url)
        async for running in serve(settings(url, f"{valkey_server.url}/9", etcd_server.url)):
            yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(api: Api) -> AsyncIterator[Database]:
    """The scheduler's database, for looking into."""
    opened = await Database.open(api.postgres_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(database: Database, namespace: str) -> Stage:
    """A worker that has said hello in the test's namespace."""
    worker = Stage(database)
    await worker.hello(namespace)
    return worker


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"ns-{next(_namespaces)}"
