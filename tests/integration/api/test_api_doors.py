"""What comes in at once is bounded, and what goes out: for everybody, and for each who asks."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import grpc
import grpc.aio
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from grpc_status import rpc_status

from taskyard_core.domain import limits
from taskyard_core.wire.gen import task_pb2, task_service_pb2, task_service_pb2_grpc
from taskyard_scheduler.api.traffic import Direction
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
LARGE = b'"' + b"x" * 250_000 + b'"'


def another(api: Api, *options: tuple[str, Any]) -> grpc.aio.Channel:
    """A connection of its own, with the limits that gRPC's clients have by default."""
    return grpc.aio.insecure_channel(
        api.scheduler.grpc_address, options=[("grpc.use_local_subchannel_pool", 1), *options]
    )


def tasks_of(channel: grpc.aio.Channel) -> task_service_pb2_grpc.TaskServiceAsyncStub:
    return task_service_pb2_grpc.TaskServiceStub(channel)


def traffic(api: Api) -> tuple[Direction, Direction]:
    found = api.scheduler.parts.traffic
    return found.arriving, found.leaving


async def until_idle(api: Api) -> None:
    """All that was under way is back."""
    await until(lambda: not any(direction.spent or direction.callers for direction in traffic(api)))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        for pause in itertools.repeat(0.01):
            if condition():
                return
            await asyncio.sleep(pause)


async def test_two_thousand_submits_at_once_are_taken(api: Api, namespace: str, stage: Stage) -> None:
    spec = task_pb2.TaskSpec(namespace=namespace, type="demo.echo")
    request = task_service_pb2.SubmitTaskRequest(task=spec)
    async with another(api) as channel:
        answers = await asyncio.gather(
            *(tasks_of(channel).SubmitTask(request) for _ in range(2000)), return_exceptions=True
        )
    assert [answer for answer in answers if isinstance(answer, BaseException)] == []
    query = "SELECT count(*) FROM taskyard.task WHERE namespace = $1"
    assert (await stage.database.fetch(query, namespace))[0][0] == 2000


async def test_a_batch_that_is_legal_has_an_answer_that_clients_take(api: Api, namespace: str) -> None:
    payload = b'"' + b"x" * 4090 + b'"'
    specs = [task_pb2.TaskSpec(namespace=namespace, type="demo.echo", payload=payload) for _ in range(1000)]
    async with another(api) as channel:
        answer = await tasks_of(channel).SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=specs))
    assert answer.ByteSize() < 3 * MIB
    assert answer.results[0].task.payload == payload
    last = answer.results[-1].task
    assert last == task_pb2.Task(id=last.id, state=task_pb2.TASK_STATE_QUEUED)
    assert (await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=last.id))).payload == payload

    document = {"tasks": [{"namespace": namespace, "type": "demo.echo", "payload": "x" * 4090}] * 1000}
    results = (await api.http.post("/v1/tasks:batch", json=document)).json()["results"]
    assert results[0]["task"]["payload"] == "x" * 4090
    assert set(results[-1]["task"]) == {"id", "state"}


async def test_a_batch_of_known_tasks_has_an_answer_that_clients_take(api: Api, namespace: str, stage: Stage) -> None:
    specs = [
        task_pb2.TaskSpec(
            namespace=namespace, type="demo.echo", payload=b'"' + b"x" * 9000 + b'"', idempotency_key=str(n)
        )
        for n in range(400)
    ]
    request = task_service_pb2.SubmitTasksRequest(tasks=specs)
    first = await api.tasks.SubmitTasks(request)
    ids = [result.task.id for result in first.results]
    await stage.run(ids[:5])
    for task_id in ids[:5]:
        await stage.succeed(task_id, b'"' + b"y" * 700_000 + b'"')
    async with another(api) as channel:
        answer = await tasks_of(channel).SubmitTasks(request)
    assert answer.ByteSize() < 3 * MIB
    assert [result.task.id for result in answer.results] == ids
    assert all(result.deduplicated for result in answer.results)
    assert len(answer.results[0].task.result) == 700_002
    assert answer.results[4].task == task_pb2.Task(id=ids[4], state=task_pb2.TASK_STATE_SUCCEEDED)


async def test_a_page_of_failed_tasks_is_one_that_clients_take(api: Api, namespace: str, stage: Stage) -> None:
    selector = "a in (" + ",".join(["b" * 63] * 15) + ")"
    ids = await api.submit_many(namespace, 1000, selector=selector, payload=b'"' + b"x" * 2500 + b'"')
    request = task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(namespace=namespace), page_size=1000)
    seen: list[str] = []
    async with another(api) as channel:
        while not seen or request.page_token:
            page = await tasks_of(channel).ListTasks(request)
            assert page.ByteSize() < 3 * MIB
            seen += [task.id for task in page.tasks]
            request.page_token = page.next_page_token
    assert sorted(seen) == sorted(ids)


async def test_many_batches_at_once_take_their_turns(api: Api, namespace: str) -> None:
    specs = [task_pb2.TaskSpec(namespace=namespace, type="demo.echo", payload=LARGE) for _ in range(16)]
    request = task_service_pb2.SubmitTasksRequest(tasks=specs)
    arriving, _ = traffic(api)
    most, done = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, arriving.spent)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    async with another(api) as one, another(api) as two:
        # What nobody asked for yet is with the clients, so that it can be as much as they like.
        calls = [tasks_of(channel).SubmitTasks(request) for channel in (one, two) for _ in range(10)]
        answers = await asyncio.gather(*calls)
    done.set()
    await watching
    assert all(len(answer.results) == 16 for answer in answers)
    # Each connection has its share, and of those that began within it, what they turned out to be.
    assert 0 < most <= 2 * 8 * 4 * MIB
    await until_idle(api)


async def test_more_than_there_is_room_for_is_told_when_to_come_again(
    api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskyard_scheduler.api.traffic._PATIENCE_SECONDS", 0.0)
    request = task_service_pb2.SubmitTaskRequest(task=task_pb2.TaskSpec(namespace=namespace, type="demo.echo"))
    arriving, _ = traffic(api)
    async with arriving.room("somebody", limits.ARRIVING_BYTES):
        refusal = await refused(api.tasks.SubmitTask(request))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS")
        assert refusal.retry_after == 1
        answer = await api.http.post("/v1/tasks", json={"namespace": namespace, "type": "demo.echo"})
        assert (answer.status_code, answer.json()["reason"]) == (429, "TOO_MANY_REQUESTS")
        assert answer.headers["retry-after"] == "1"
    await api.tasks.SubmitTask(request)
    await until_idle(api)


async def test_a_message_larger_than_any_is_refused_in_grpcs_words(api: Api) -> None:
    submit = api.channel.unary_unary("/taskyard.v1.TaskService/SubmitTask", bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await submit(b"x" * (9 * MIB))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_call_without_a_message_is_refused(api: Api) -> None:
    call = api.channel.stream_unary("/taskyard.v1.TaskService/GetTask", bytes, bytes)(iter(()))
    assert (await refused(cast("Any", call))).fields == ["request"]


async def test_a_call_whose_message_does_not_come_is_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    arriving, _ = traffic(api)
    monkeypatch.setattr(arriving, "_patient", 0.05)

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    call = api.channel.stream_unary("/taskyard.v1.TaskService/GetTask", bytes, bytes)(never())
    refusal = await refused(cast("Any", call))
    assert (refusal.reason, refusal.retry_after) == ("TOO_MANY_REQUESTS", 1)
    await until_idle(api)


async def test_compressed_messages_are_not_unpacked(api: Api) -> None:
    request = task_service_pb2.SubmitTaskRequest(task=task_pb2.TaskSpec(type="t", payload=b" " * 4 * MIB))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.tasks.SubmitTask(request, compression=grpc.Compression.Gzip)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tasks:batch", b'{"tasks":[' + b"0," * MIB + b"0]}"),
        ("/v1/tasks:batch", b"{" + b",".join(b'"a%d":0' % n for n in range(280_000)) + b"}"),
        ("/v1/tasks", b"{" + b",".join(b'"a%d":0' % n for n in range(20_000)) + b"}"),
        ("/v1/tasks", b"{" + b",".join(b'"a%d":0' % n for n in range(24)) + b"}"),
        ("/v1/dlq:purge", b'{"filter":{' + b",".join(b'"a%d":0' % n for n in range(20_000)) + b"}}"),
        ("/v1/dlq:purge", b'{"filter":{' + b",".join(b'"a%d":0' % n for n in range(24)) + b"}}"),
    ],
)
async def test_an_answer_names_few_of_many_violations(api: Api, path: str, body: bytes) -> None:
    answer = await api.http.post(path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert 1 <= len(answer.json()["violations"]) <= 20
    assert len(answer.content) < 4000


async def test_a_bad_task_of_many_names_one_violation(api: Api) -> None:
    item = b"{" + b",".join(b'"a%d":0' % n for n in range(20)) + b"}"
    answer = await api.http.post(
        "/v1/tasks:batch", content=b'{"tasks":[' + b",".join([item] * 50) + b"]}", headers=JSON
    )
    errors = [result["error"] for result in answer.json()["results"]]
    assert [error["field"] for error in errors] == [f"tasks[{n}].a0" for n in range(50)]
    assert all(len(error["message"]) < 100 for error in errors)


async def test_query_strings_are_bounded(api: Api) -> None:
    many = "&".join(f"a{n}=1" for n in range(2001))
    answer = await api.http.get(f"/v1/tasks?{many}")
    assert (answer.status_code, [v["field"] for v in answer.json()["violations"]]) == (400, ["query"])
    few = await api.http.get("/v1/tasks?" + "&".join(f"a{n}=1" for n in range(1000)))
    assert len(few.json()["violations"]) == 20
    names = "&".join(["queue=a"] * 1001)
    assert (await api.http.get(f"/v1/backlog?{names}")).json()["violations"][0]["field"] == "queue"


async def test_a_body_that_breaks_off_is_nobodys_error(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    host, _, port = api.scheduler.rest_address.rpartition(":")
    with caplog.at_level(logging.WARNING):
        for path in ("/v1/tasks", "/v1/tasks:batch", "/v1/dlq:purge"):
            _, writer = await asyncio.open_connection(host, int(port))
            head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            writer.write(head.encode() + b"content-length: 99\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0)
            writer.close()
        await until_idle(api)
        await api.http.get("/livez")
    assert not caplog.records


async def test_calls_that_break_off_are_nobodys_error(
    api: Api, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = await api.submit_many(namespace, 12, payload=LARGE)
    with caplog.at_level(logging.WARNING):
        channel = another(api)
        watches = [tasks_of(channel).WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids)) for _ in range(5)]
        for watch in watches:
            await watch.read()
        await channel.close(None)
        await until_idle(api)
    assert not caplog.records


async def test_watchers_that_do_not_read_hold_little_and_all_is_back_when_they_leave(api: Api, namespace: str) -> None:
    ids = await api.submit_many(namespace, 16, payload=LARGE)
    _, leaving = traffic(api)
    channels = [another(api) for _ in range(6)]
    watches = [
        tasks_of(channel).WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids))
        for channel in channels
        for _ in range(5)
    ]
    for watch in watches:
        await watch.read()
    assert leaving.spent <= limits.LEAVING_BYTES
    # Somebody who reads is served beside them.
    async with another(api) as channel:
        seen: list[str] = []
        async for message in tasks_of(channel).WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids)):
            assert message.ByteSize() < MIB
            seen += [task.id for task in message.tasks]
            if len(seen) == len(ids):
                break
    assert sorted(seen) == sorted(ids)
    for channel in channels:
        await channel.close(None)
    await until_idle(api)


async def test_an_answer_that_nobody_reads_is_not_kept(
    api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.submit_many(namespace, 12, payload=LARGE)
    _, leaving = traffic(api)
    monkeypatch.setattr(leaving, "_patient", 0.05)
    host, _, port = api.scheduler.rest_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    for _ in range(20):
        writer.write(f"GET /v1/tasks?namespace={namespace} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(60):
        # What the system's own buffers hold arrives, then the connection is over.
        while not reader.at_eof():
            await asyncio.sleep(0.2)
            if leaving.spent == 0:
                break
    writer.close()
    await until_idle(api)


async def test_waits_are_bounded_for_each_who_waits_and_for_all(
    api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await api.submit(namespace)
    request = task_service_pb2.WaitTaskRequest(id=task.id)
    waits = api.scheduler.parts.waits
    monkeypatch.setattr(waits.calls, "each", 3)
    async with another(api) as channel, another(api) as other:
        calls = [asyncio.ensure_future(tasks_of(channel).WaitTask(request)) for _ in range(10)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        while len(waiting) > 3:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for call in done:
            error = call.exception()
            assert isinstance(error, grpc.aio.AioRpcError)
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            status = rpc_status.from_call(cast("grpc.Call", error))
            assert status is not None
            assert any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)
        # Another connection has waits of its own, until there are too many in all.
        theirs = asyncio.ensure_future(tasks_of(other).WaitTask(request))
        await until(lambda: waits.calls.total == 4)
        monkeypatch.setattr(waits.calls, "most", 4)
        assert (await refused(tasks_of(other).WaitTask(request))).reason == "TOO_MANY_REQUESTS"
        answer = await api.http.get(f"/v1/tasks/{task.id}?wait=30s")
        assert (answer.status_code, answer.json()["reason"]) == (429, "TOO_MANY_REQUESTS")
        await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=task.id))
        for call in (*waiting, theirs):
            assert (await call).state == task_pb2.TASK_STATE_CANCELLED
    assert (waits.calls.callers, waits.tasks.callers) == (0, 0)


async def test_the_tasks_that_one_waits_for_are_bounded(
    api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await api.submit_many(namespace, 5)
    monkeypatch.setattr(api.scheduler.parts.waits.tasks, "each", 7)
    request = task_service_pb2.WatchTasksRequest(ids=ids)
    async with another(api) as channel:
        first = tasks_of(channel).WatchTasks(request)
        await first.read()
        assert (await refused(tasks_of(channel).WatchTasks(request).read())).reason == "TOO_MANY_REQUESTS"
        first.cancel()


async def test_pages_of_others_change_nothing_and_names_of_others_are_unknown(api: Api, namespace: str) -> None:
    task = await api.submit(namespace)
    crossing = {"sec-fetch-site": "cross-site"}
    for method, path in (
        ("POST", f"/v1/tasks/{task.id}:cancel"),
        ("POST", f"/v1/tasks/{task.id}:redrive"),
        ("POST", "/v1/tasks"),
        ("POST", "/v1/dlq:purge"),
        ("PATCH", "/v1/queues/default"),
        ("DELETE", f"/v1/tasks/{task.id}"),
    ):
        for headers in (crossing, {"origin": "http://evil.example"}, {"origin": "null"}):
            answer = await api.http.request(method, path, headers=headers)
            assert (answer.status_code, answer.json()["reason"]) == (403, "CROSS_SITE"), (method, path, headers)
    assert (await api.http.get(f"/v1/tasks/{task.id}", headers=crossing)).json()["state"] == "QUEUED"
    for path in ("/v1/tasks", "/livez", "/metrics", "/docs", "/openapi.json"):
        answer = await api.http.get(path, headers={"host": "evil.example:8080"})
        assert (answer.status_code, answer.json()["reason"]) == (421, "UNKNOWN_HOST")
    same = {"sec-fetch-site": "same-origin", "host": "localhost:8080"}
    assert (await api.http.post(f"/v1/tasks/{task.id}:cancel", headers=same)).status_code == 200


async def test_an_error_that_nobody_foresaw_is_logged_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.scheduler.parts.stores.lists.queues, "page", broken)
    answer: httpx.Response = await api.http.get("/v1/queues")
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert len([record for record in caplog.records if record.exc_info]) == 1
