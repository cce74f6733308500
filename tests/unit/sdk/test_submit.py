"""Submitting: what travels together, what each caller learns, what is sent again."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Unpack

import grpc
import pytest
from opentelemetry import context, trace

from taskyard import (
    BacklogFull,
    Client,
    IdempotencyConflict,
    InvalidArgument,
    NotJson,
    RetryPolicy,
    TaskHandle,
    TaskOptions,
    TaskRequest,
    TaskyardError,
    Unavailable,
)
from tests.unit.sdk.stub import StubScheduler, failure


async def test_simultaneous_submits_share_one_call(client: Client, stub: StubScheduler) -> None:
    handles = await asyncio.gather(*(client.submit("demo.echo", n) for n in range(500)))
    assert [len(batch.tasks) for batch in stub.batches] == [500]
    assert [stub.tasks[handle.id].payload for handle in handles] == [str(n).encode() for n in range(500)]
    assert stub.batches[0].ids_only


async def test_what_arrives_during_a_call_goes_into_the_next(client: Client, stub: StubScheduler) -> None:
    stub.doors.clear()
    submits = []
    for calls_on_their_way in (1, 2):
        submits.append(asyncio.create_task(client.submit("demo.echo", calls_on_their_way)))
        await stub.arrived.acquire()
    for n in range(1500):
        submits.append(asyncio.create_task(client.submit("demo.echo", n)))
        if n % 100 == 0:
            await asyncio.sleep(0)  # a turn of the event loop, in which they could depart
    stub.doors.set()
    await asyncio.gather(*submits)
    assert sorted(len(batch.tasks) for batch in stub.batches) == [1, 1, 500, 1000]


async def test_each_caller_gets_its_own_outcome(client: Client, stub: StubScheduler) -> None:
    good, bad, full, clash, other = await asyncio.gather(
        client.submit("demo.echo", 1, idempotency_key="k"),
        client.submit("demo.echo", 2, priority=11),
        client.submit("demo.echo", 3, queue="full"),
        client.submit("demo.echo", 4, idempotency_key="k"),
        client.submit("demo.echo", 5),
        return_exceptions=True,
    )
    assert len(stub.batches) == 1
    assert isinstance(good, TaskHandle)
    assert isinstance(other, TaskHandle)
    assert isinstance(bad, InvalidArgument)
    assert str(bad) == "priority: must be 0 to 10"
    assert bad.violations[0].field == "priority"
    assert isinstance(full, BacklogFull)
    assert full.retry_after == timedelta(seconds=1.5)
    assert isinstance(clash, IdempotencyConflict)
    assert clash.task_id == good.id


async def test_options_arrive(client: Client, stub: StubScheduler) -> None:
    moment = datetime(2030, 1, 31, 8, tzinfo=UTC)
    handle = await client.submit(
        "demo.echo",
        {"a": [1, None]},
        queue="q",
        priority=0,
        selector="io=ssd",
        idempotency_key="k",
        run_at=moment,
        expires_at=moment + timedelta(hours=1),
        timeout=1.5,
        retry=RetryPolicy(max_attempts=5, initial_backoff=0.5, max_backoff=timedelta(minutes=1)),
        depends_on=["x"],
    )
    task = await handle.get()
    assert (task.namespace, task.queue, task.type, task.payload) == ("tests", "q", "demo.echo", {"a": [1, None]})
    assert (task.priority, task.selector, task.idempotency_key) == (0, "io=ssd", "k")
    assert (task.run_at, task.timeout) == (moment, timedelta(seconds=1.5))
    assert task.retry == RetryPolicy(5, timedelta(seconds=0.5), None, timedelta(minutes=1), None)
    assert list(stub.batches[0].tasks[0].depends_on) == ["x"]


async def test_same_key_answers_with_the_first_task(client: Client) -> None:
    first = await client.submit("demo.echo", 1, idempotency_key="k")
    second = await client.submit("demo.echo", 1, idempotency_key="k")
    assert (second.id, first.deduplicated, second.deduplicated) == (first.id, False, True)


async def test_a_key_that_is_given_is_not_empty(client: Client, stub: StubScheduler) -> None:
    with pytest.raises(InvalidArgument, match=r"^idempotency_key: must not be empty; leave it out for none$"):
        await client.submit("demo.echo", 1, idempotency_key="")
    fine, empty = await client.submit_many(
        [TaskRequest("demo.echo", idempotency_key=None), TaskRequest("demo.echo", idempotency_key="")]
    )
    assert isinstance(fine, TaskHandle)
    assert isinstance(empty, InvalidArgument)
    assert len(stub.tasks) == 1


async def test_the_current_trace_goes_along(client: Client, stub: StubScheduler) -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=trace.TraceFlags(1)))
    token = context.attach(trace.set_span_in_context(span))
    try:
        handle = await client.submit("demo.echo")
    finally:
        context.detach(token)
    assert stub.tasks[handle.id].traceparent == f"00-{0xAB:032x}-{0xCD:016x}-01"


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ({1, 2}, "set"),
        (float, "type"),
        ("\ud800", "surrogates"),
        ([2**64, {1}], "set"),
        ([2**64, 10**400], "more than 308 digits"),
    ],
)
async def test_what_is_not_json_is_refused(client: Client, payload: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=f"^payload: is not JSON: .*{complaint}") as caught:
        await client.submit("demo.echo", payload)
    assert isinstance(caught.value, NotJson)


async def test_large_integers_keep_every_digit(client: Client) -> None:
    payload = {"n": [2**64, -(10**30), 1.5, 9223372036854775807]}
    assert (await (await client.submit("demo.echo", payload)).get()).payload == payload


async def test_10_000_deep_json_is_refused(client: Client) -> None:
    payload: list[Any] = []
    for _ in range(10_000):
        payload = [payload]
    with pytest.raises(NotJson, match="payload"):
        await client.submit("demo.echo", payload)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"priority": "high"}, "priority"),
        ({"priority": 2**40}, "priority"),
        ({"queue": "\ud800"}, "queue"),
        ({"delay": float("nan")}, "delay"),
        ({"delay": float("inf")}, "delay"),
        ({"timeout": "1s"}, "timeout"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"retry": RetryPolicy(max_attempts=2**40)}, "retry.max_attempts"),
        ({"retry": RetryPolicy(max_backoff=float("nan"))}, "retry.max_backoff"),
        ({"depends_on": [1]}, "depends_on"),
    ],
)
async def test_what_cannot_be_sent_names_its_field(client: Client, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.submit("demo.echo", **options)
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_negative_delay_is_the_servers_to_refuse(client: Client, stub: StubScheduler) -> None:
    with pytest.raises(InvalidArgument, match="must not be negative") as caught:
        await client.submit("demo.echo", delay=-1)
    assert caught.value.violations[0].field == "delay"
    assert not stub.tasks


async def test_cancelled_before_departure_is_never_sent(client: Client, stub: StubScheduler) -> None:
    stub.doors.clear()
    ahead = []
    for n in range(2):
        ahead.append(asyncio.create_task(client.submit("demo.echo", n)))
        await stub.arrived.acquire()
    late, last = (asyncio.create_task(client.submit("demo.echo", word)) for word in ("late", "last"))
    await asyncio.sleep(0)  # one turn of the event loop, in which both get in line
    assert len(client._coalescer._waiting) == 2
    late.cancel()
    stub.doors.set()
    await asyncio.gather(*ahead, last)
    assert {task.payload for task in stub.tasks.values()} == {b"0", b"1", b'"last"'}
    assert late.cancelled()


async def test_a_call_nobody_waits_for_is_cancelled(address: str, stub: StubScheduler) -> None:
    stub.doors.clear()
    async with Client(address, time_limit=600) as client:
        submits = [asyncio.create_task(client.submit("demo.echo", n)) for n in range(2)]
        await stub.arrived.acquire()
        for submit in submits:
            submit.cancel()
        await stub.abandoned.acquire()
    assert not stub.tasks


async def test_a_lost_answer_is_unknown_without_a_key(client: Client, stub: StubScheduler) -> None:
    stub.lose_answers = 1
    with pytest.raises(Unavailable) as caught:
        await client.submit("demo.echo")
    assert caught.value.outcome_unknown
    assert len(stub.batches) == 1


async def test_a_lost_answer_is_asked_for_again_with_a_key(client: Client, stub: StubScheduler) -> None:
    stub.lose_answers = 1
    keyed, bare = await asyncio.gather(
        client.submit("demo.echo", 1, idempotency_key="k"), client.submit("demo.echo", 2), return_exceptions=True
    )
    assert isinstance(keyed, TaskHandle)
    assert isinstance(bare, Unavailable)
    assert [len(batch.tasks) for batch in stub.batches] == [2, 1]
    assert len(stub.tasks) == 2


async def test_generated_keys_make_every_submit_repeatable(address: str, stub: StubScheduler) -> None:
    stub.lose_answers = 1
    async with Client(address, generate_keys=True) as client:
        handle = await client.submit("demo.echo")
    assert stub.tasks.keys() == {handle.id}
    assert stub.tasks[handle.id].idempotency_key.startswith("sdk-")


async def test_a_failed_call_is_the_outcome_of_all_its_tasks(client: Client, stub: StubScheduler) -> None:
    stub.failures.append(failure(grpc.StatusCode.INTERNAL, "INTERNAL", "disk on fire"))
    outcomes = await asyncio.gather(*(client.submit("demo.echo") for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["disk on fire"] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3


async def test_submit_many_splits_by_count(client: Client, stub: StubScheduler) -> None:
    outcomes = await client.submit_many(TaskRequest("demo.echo", n) for n in range(2500))
    assert sorted(len(batch.tasks) for batch in stub.batches) == [500, 1000, 1000]
    assert [stub.tasks[outcome.id].payload for outcome in outcomes if isinstance(outcome, TaskHandle)] == [
        str(n).encode() for n in range(2500)
    ]


async def test_submit_many_splits_by_bytes(client: Client, stub: StubScheduler) -> None:
    outcomes = await client.submit_many([TaskRequest("demo.echo", "x" * 250_000) for _ in range(40)])
    assert all(isinstance(outcome, TaskHandle) for outcome in outcomes)
    sizes = [batch.ByteSize() for batch in stub.batches]
    assert len(sizes) == 3
    assert max(sizes) < 4 * 1024 * 1024


async def test_submit_many_tells_each_outcome(client: Client, stub: StubScheduler) -> None:
    requests = [
        TaskRequest("demo.echo", 1),
        TaskRequest("demo.echo", {1}),
        TaskRequest("demo.echo", "x" * 5_000_000),
        TaskRequest("demo.echo", 2, priority=11),
        TaskRequest("demo.echo", 3),
    ]
    first, not_json, huge, refused, last = await client.submit_many(requests)
    assert isinstance(first, TaskHandle)
    assert isinstance(not_json, NotJson)
    assert isinstance(huge, InvalidArgument)
    assert huge.violations[0].field == "payload"
    assert isinstance(refused, InvalidArgument)
    assert isinstance(last, TaskHandle)
    assert len(stub.batches) == 1


async def test_submit_many_of_nothing_and_of_a_broken_source(client: Client, stub: StubScheduler) -> None:
    assert await client.submit_many([]) == []
    with pytest.raises(ZeroDivisionError):
        await client.submit_many(TaskRequest("demo.echo", 1 / n) for n in (1, 0))
    assert not stub.batches


async def test_options_are_those_of_a_request() -> None:
    async def options_of(**options: Unpack[TaskOptions]) -> set[str]:
        return set(options)

    names = {name for name in TaskRequest.__dataclass_fields__ if name not in {"type", "payload"}}
    assert set(TaskOptions.__annotations__) == names
    assert await options_of(queue="q") == {"queue"}


async def test_a_closed_client_fails_what_waits(address: str, stub: StubScheduler) -> None:
    stub.doors.clear()
    client = Client(address)
    submit = asyncio.create_task(client.submit("demo.echo"))
    await stub.arrived.acquire()
    await client.close()
    with pytest.raises(Unavailable):
        await submit
    for call in (client.submit("demo.echo"), client.get("task-1"), client.result("task-1")):
        with pytest.raises(TaskyardError, match="client is closed"):
            await call


class Unspeakable:
    """Has no truth."""

    def __bool__(self) -> bool:
        raise RuntimeError("neither")


async def test_a_task_that_cannot_be_sent_is_refused_alone(client: Client, stub: StubScheduler) -> None:
    east, west = timezone(timedelta(hours=5)), timezone(timedelta(hours=-5))
    wrong: list[tuple[Any, str]] = [
        (TaskRequest("demo.echo", run_at=datetime.max.replace(tzinfo=west)), "run_at: must be between the years"),
        (TaskRequest("demo.echo", expires_at=datetime.min.replace(tzinfo=east)), "expires_at: must be between"),
        (TaskRequest("demo.echo", run_at=datetime(2030, 1, 1, tzinfo=NoOffset())), "run_at: must be a datetime with"),
        (TaskRequest("demo.echo", retry={}), "retry: must be a RetryPolicy, got dict"),  # type: ignore[arg-type]
        (TaskRequest("demo.echo", delay="soon"), "delay: "),  # type: ignore[arg-type]
        (TaskRequest("demo.echo", timeout=10**400), "timeout: "),
        (TaskRequest("demo.echo", depends_on="abc"), "depends_on: must be a sequence of ids"),
        (TaskRequest("demo.echo", selector=Unspeakable()), "RuntimeError: neither"),  # type: ignore[arg-type]
        (TaskRequest(5), "type: "),  # type: ignore[arg-type]
        ({"type": "demo.echo"}, "task: must be a TaskRequest, got dict"),
        ("demo.echo", "task: must be a TaskRequest, got str"),
        (None, "task: must be a TaskRequest, got NoneType"),
    ]
    requests = [request for request, _ in wrong]
    outcomes = await client.submit_many([TaskRequest("demo.echo"), *requests, TaskRequest("x")])
    assert len(stub.tasks) == 2
    for outcome, (_, complaint) in zip(outcomes[1:-1], wrong, strict=True):
        assert isinstance(outcome, InvalidArgument)
        assert complaint in str(outcome)


class NoOffset(tzinfo):
    """A zone that does not know."""

    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, _moment: datetime | None) -> None:
        return None


async def test_times_beyond_what_python_has_do_not_hide_a_task(client: Client, stub: StubScheduler) -> None:
    handle = await client.submit("demo.echo")
    stub.tasks[handle.id].run_at.seconds = 10**15
    stub.tasks[handle.id].expires_at.seconds = -(10**15)
    stub.tasks[handle.id].timeout.seconds = 10**18
    task = await handle.get()
    assert task.run_at == datetime.max.replace(tzinfo=UTC)
    assert task.expires_at == datetime.min.replace(tzinfo=UTC)
    assert task.timeout == timedelta.max


@pytest.mark.parametrize("field", ["type", "queue", "selector", "idempotency_key"])
async def test_what_must_be_text_says_so(client: Client, stub: StubScheduler, field: str) -> None:
    for value in ({"io": "ssd"}, b"bytes", 7):
        options: dict[str, Any] = {"type": "x", field: value}
        with pytest.raises(InvalidArgument, match=f"^{field}: must be text, got {type(value).__name__}$"):
            await client.submit(**options)
    with pytest.raises(InvalidArgument, match=r"^depends_on: must be text, got bytes$"):
        await client.submit("x", depends_on=[b"id"])  # type: ignore[list-item]
    assert not stub.tasks


@pytest.mark.parametrize("tls", ["yes", True, "", 0])
def test_tls_is_a_tls(tls: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^tls: must be a Tls or None, got {type(tls).__name__}$"):
        Client(tls=tls)
