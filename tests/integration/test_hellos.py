"""What hellos may cost the stores: one dispatcher's door in this process, on real stores."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import orjson
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from taskyard_core.domain import limits
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.postgres.migration import migrate
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen import worker_service_pb2_grpc
from taskyard_dispatcher.assembly import Assembly
from taskyard_dispatcher.gateway.adoption import session_record
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores
from tests.stores.membership import background, until_known

_prefixes = itertools.count(1)
LARGE = wire.Hello(
    worker="greedy",
    types=[f"{number:0128d}" for number in range(limits.SESSION_TYPES)],
    queues=[f"{number:063d}" for number in range(limits.SESSION_TYPES)],
    labels={f"{number:063d}": "ß" * limits.LABEL_VALUE_LENGTH for number in range(limits.LABELS)},
    slots=1,
)


@dataclass(frozen=True)
class Door:
    """Where workers say hello, and what the dispatcher behind it is made of."""

    parts: Assembly
    stub: "worker_service_pb2_grpc.WorkerServiceAsyncStub"

    async def hello(self, session: str) -> wire.Welcome:
        """One hello, and the stream's end right after its welcome."""
        hello = wire.Hello(session_id=session)
        hello.MergeFrom(LARGE)
        call = self.stub.Session(_one(wire.WorkerFrame(hello=hello)))
        try:
            return (await anext(aiter(call))).welcome
        finally:
            call.cancel()

    async def hellos(self, count: int) -> None:
        """Hellos of as many sessions."""
        for _ in range(count):
            await self.hello(str(uuid.uuid4()))


async def _one(frame: wire.WorkerFrame) -> AsyncIterator[wire.WorkerFrame]:
    yield frame
    await asyncio.Event().wait()


@pytest_asyncio.fixture(loop_scope="session")
async def door(database_url: str, redis_url: str, etcd_endpoint: str) -> AsyncIterator[Door]:
    await asyncio.to_thread(migrate, database_url)
    values: dict[str, Any] = {
        "postgres_url": database_url,
        "redis_url": redis_url,
        "etcd_endpoints": etcd_endpoint,
        "etcd_prefix": f"/hellos-{next(_prefixes)}",
    }
    settings = DispatcherSettings(**values)
    async with Stores.open(settings, "door") as stores:
        parts = Assembly("door", settings, stores, Telemetry.silent(), SystemClock())
        server = grpc.aio.server()
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(parts.streams, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with (
            background(parts.registry.run()),
            background(parts.profiles.run()),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            yield Door(parts, worker_service_pb2_grpc.WorkerServiceStub(channel))
        await server.stop(0)
        await parts.grace.close()
        await parts.presence.close()


def retry_after(refusal: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> float:
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(refusal.value)  # type: ignore[arg-type]
    assert status is not None
    (detail,) = status.details
    retry = error_details_pb2.RetryInfo()
    assert detail.Unpack(retry)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


async def test_large_hellos_cost_etcd_little_and_are_held_to_a_rate(door: Door) -> None:
    session, etcd = str(uuid.uuid4()), door.parts.stores.etcd
    assert [(await door.hello(session)).generation for _ in range(3)] == [1, 2, 3]
    for prefix in (etcd.keys.sessions, etcd.keys.profiles):
        async with aclosing(etcd.watch(prefix)) as watch:
            await until_known(watch, 1)
    alive, profile = await etcd.kv.get(etcd.keys.session(session)), await etcd.kv.get(etcd.keys.profile(session))
    assert alive is not None
    assert profile is not None
    assert len(alive.key) + len(alive.value) < 150
    assert profile.mod_revision == profile.create_revision
    assert len(profile.value) <= limits.SESSION_PROFILE_BYTES
    assert orjson.loads(profile.value)["shortened"]["types"] == limits.SESSION_TYPES
    ((shown,), _) = await door.parts.stores.tasks.sessions.workers(None, None, 30)
    assert len(shown.types) == limits.SESSION_TYPES
    with pytest.raises(grpc.aio.AioRpcError, match="too many or too large") as refusal:
        await door.hellos(100)
    assert 0 < retry_after(refusal) < 10
    assert len(await door.parts.stores.tasks.sessions.live()) < 30


async def test_a_hello_beyond_all_limits_is_refused_for_good(door: Door) -> None:
    hello = wire.Hello(session_id=str(uuid.uuid4()), types=["a"], slots=1, worker="x" * (limits.HELLO_BYTES + 1))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await anext(aiter(door.stub.Session(_one(wire.WorkerFrame(hello=hello)))))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "hello.worker" in (refusal.value.details() or "")


@pytest.mark.parametrize(
    ("large", "field"),
    [
        ({"worker": "x" * limits.HELLO_BYTES}, "worker"),
        ({"types": ["x" * 100] * 12_000, "queues": ["q"]}, "types"),
        ({"labels": {"k": "x" * limits.HELLO_BYTES}}, "labels"),
        ({"running": [wire.AttemptRef(task_id="x" * 100, attempt=1)] * 12_000}, "running"),
    ],
)
def test_a_hello_that_is_too_large_names_what_is(large: dict[str, Any], field: str) -> None:
    hello = wire.Hello(**{"session_id": str(uuid.uuid4()), "types": ["a"], "slots": 1, **large})
    with pytest.raises(Violation, match=f"^{field}: [0-9]+ bytes") as refusal:
        session_record(hello, "d")
    assert refusal.value.field == field
