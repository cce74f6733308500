"""Reaching a scheduler: addresses, retries, and from statuses to exceptions."""

import asyncio
import copy
import pickle
import socket

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taskyard import (
    AccessDenied,
    BacklogFull,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    ServerError,
    TaskyardError,
    Unavailable,
    _status,
)
from taskyard._addresses import parse_addresses
from taskyard._calls import Calls
from taskyard._channel import Scheduler, Schedulers
from taskyard._gen import task_service_pb2
from tests.unit.sdk.stub import Context, StubScheduler, failure, serving

Code = grpc.StatusCode


@pytest.fixture
def dead_address() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a", ("a:7070",)),
        ("a:1, b:2,", ("a:1", "b:2")),
        ("[::1]:5,[::1]", ("[::1]:5", "[::1]:7070")),
    ],
)
def test_addresses(text: str, addresses: tuple[str, ...]) -> None:
    assert parse_addresses(text, port=7070, field="address") == addresses


@pytest.mark.parametrize("text", ["", ",", "a:b", "a:0", "a:65536", ":7070", "::1:7070", "http://a:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^address: "):
        parse_addresses(text, port=7070, field="address")


async def test_address_and_namespace_from_the_environment(
    address: str, stub: StubScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKYARD_ADDRESS", address)
    monkeypatch.setenv("TASKYARD_NAMESPACE", "elsewhere")
    async with Client() as client:
        assert (await (await client.submit("demo.echo")).get()).namespace == "elsewhere"


async def test_nobody_there_is_known_not_to_have_happened(dead_address: str) -> None:
    async with Client(dead_address, time_limit=2) as client:
        with pytest.raises(Unavailable, match=f"can't reach {dead_address}") as caught:
            await client.submit("demo.echo")
    assert not caught.value.outcome_unknown


async def test_what_was_sent_away_unseen_is_known_not_to_have_happened() -> None:
    raised = _status.of_item(task_service_pb2.SubmitError(reason="TOO_MANY_REQUESTS", message="try again"))
    assert isinstance(raised, Unavailable)
    assert not raised.outcome_unknown


async def test_a_name_without_addresses_is_known_not_to_have_been_sent_to() -> None:
    # No server need be asked: no name has a part of 64 letters.
    async with Client(f"{'a' * 64}.example:7070", time_limit=2) as nameless:
        with pytest.raises(Unavailable) as caught:
            await nameless.submit("t")
    assert not caught.value.outcome_unknown


async def test_a_dead_scheduler_is_passed_over(dead_address: str, address: str) -> None:
    for _ in range(8):  # each begins at a random one
        async with Client(f"{dead_address},{address}", time_limit=5) as client:
            await client.submit("demo.echo")


class Wavering(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no types
    """Is about to stop, and thinks better of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.watched, self.well = asyncio.Event(), asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        self.asked.append(request.service)
        await context.write(health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING))
        self.watched.set()
        await self.well.wait()
        await context.write(health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING))
        await asyncio.Event().wait()


async def test_who_is_about_to_stop_is_sent_nothing(stub: StubScheduler) -> None:
    health = Wavering()
    async with serving(stub, health=health) as address, Client(address) as client:
        submitting = asyncio.create_task(client.submit("t"))
        await health.watched.wait()
        with pytest.raises(Unavailable) as caught:
            await Client(address, time_limit=2).submit("t")
        assert not caught.value.outcome_unknown
        assert (stub.batches, health.asked[0]) == ([], "liveness")
        health.well.set()
        # A submit without a key goes on by itself: it is known not to have been sent.
        await submitting
    assert len(stub.batches) == 1


async def test_reads_are_repeated_and_changes_are_not(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    calls = stub.calls
    stub.failures.append(failure(Code.UNAVAILABLE, "UNAVAILABLE"))
    assert (await handle.get()).id == handle.id
    assert stub.calls == calls + 2
    stub.failures.append(failure(Code.UNAVAILABLE, "UNAVAILABLE"))
    with pytest.raises(Unavailable) as caught:
        await client.redrive(handle.id)
    assert caught.value.outcome_unknown
    assert stub.calls == calls + 3
    stub.failures.append(failure(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"))
    with pytest.raises(DeadlineExceeded) as late:
        await handle.get()
    assert not late.value.outcome_unknown


async def test_what_one_try_left_unknown_stays_unknown() -> None:
    schedulers = Schedulers(("127.0.0.1:1",), None)
    tries: list[Unavailable] = []

    async def send(_: Scheduler, __: float) -> None:
        # Only the first may have arrived.
        tries.append(Unavailable("gone", outcome_unknown=not tries))
        raise tries[-1]

    with pytest.raises(Unavailable) as caught:
        await Calls(schedulers, time_limit=0.5).call(send)
    assert len(tries) > 1
    assert caught.value is tries[-1]
    assert caught.value.outcome_unknown


async def test_a_silent_scheduler(address: str, stub: StubScheduler) -> None:
    stub.doors.clear()
    async with Client(address, time_limit=0.1) as client:
        with pytest.raises(DeadlineExceeded) as caught:
            await client.submit("demo.echo")
    assert caught.value.outcome_unknown
    assert isinstance(caught.value, TimeoutError)


BAD_FIELD = error_details_pb2.BadRequest(
    field_violations=[error_details_pb2.BadRequest.FieldViolation(field="task.retry.jitter", description="is odd")]
)
LATER = error_details_pb2.RetryInfo()
LATER.retry_delay.FromSeconds(3)


@pytest.mark.parametrize(
    ("code", "reason", "details", "kind"),
    [
        (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", [BAD_FIELD], InvalidArgument),
        (Code.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE", [BAD_FIELD], InvalidArgument),
        (Code.NOT_FOUND, "NOT_FOUND", [], NotFound),
        (Code.ALREADY_EXISTS, "IDEMPOTENCY_CONFLICT", [], IdempotencyConflict),
        (Code.FAILED_PRECONDITION, "NOT_FAILED", [], FailedPrecondition),
        (Code.RESOURCE_EXHAUSTED, "BACKLOG_FULL", [LATER], BacklogFull),
        (Code.PERMISSION_DENIED, "NOT_YOURS", [], AccessDenied),
        (Code.DEADLINE_EXCEEDED, "", [], DeadlineExceeded),
        (Code.UNIMPLEMENTED, "", [], ServerError),
        (Code.DATA_LOSS, "", [], ServerError),
    ],
)
async def test_statuses_become_exceptions(
    client: Client, stub: StubScheduler, *, code: Code, reason: str, details: list[Message], kind: type[TaskyardError]
) -> None:
    stub.failures.append(failure(code, reason, details=details))
    with pytest.raises(kind) as caught:
        await client.get("task-1")
    error = caught.value
    assert type(error) is kind
    assert reason in {"", error.reason}
    if isinstance(error, InvalidArgument):
        assert str(error) == "retry.jitter: is odd"
    if isinstance(error, BacklogFull):
        assert error.retry_after is not None
        assert error.retry_after.total_seconds() == 3


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgument("m"),
        IdempotencyConflict("m", task_id="t"),
        Unavailable("m", outcome_unknown=True),
        DeadlineExceeded("m", outcome_unknown=True, reason="r"),
    ],
)
def test_errors_can_be_copied_and_pickled(error: TaskyardError) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), vars(twin)) == (type(error), "m", vars(error))


async def test_a_port_that_does_not_answer_is_named() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        async with Client(address, time_limit=0.5) as client:
            with pytest.raises(DeadlineExceeded, match=f"^{address} did not answer in time: is it a scheduler's gRPC"):
                await client.cluster()


async def test_a_grpc_server_that_is_no_scheduler_is_named() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Client(f"127.0.0.1:{port}") as client:
        with pytest.raises(ServerError, match=f"^127.0.0.1:{port} does not know this call: is it a scheduler's gRPC"):
            await client.cluster()
    await server.stop(None)
