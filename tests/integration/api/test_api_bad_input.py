"""Bad input: refused by both APIs with the field named, and no row left behind."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from taskyard_core.wire.gen import queue_service_pb2, task_pb2, task_service_pb2
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage

JSON = {"content-type": "application/json"}
UNKNOWN = "0199f3c2-5f1e-7cc0-8d5a-3f6a1c2b4d5e"

DEEP = b"[" * 10_000 + b"]" * 10_000
BROKEN_TEXT = b'"\xff\xfe"'


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def no_row_left(stage: Stage) -> AsyncIterator[None]:
    before = [await stage.count(table) for table in ("task", "idempotency", "outbox")]
    yield
    after = [await stage.count(table) for table in ("task", "idempotency", "outbox")]
    # Rows of earlier tests may leave the outbox meanwhile.
    assert after[:2] == before[:2]
    assert after[2] <= before[2]


def violations(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    return [violation["field"] for violation in document["violations"]]


SPECS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no type": ({"type": ""}, {"type": ""}, "type"),
    "odd type": ({"type": "a b"}, {"type": "a b"}, "type"),
    "long type": ({"type": "t" * 129}, {"type": "t" * 129}, "type"),
    "odd namespace": ({"namespace": "a/b"}, {"namespace": "a/b"}, "namespace"),
    "newline in queue": ({"queue": "q\n"}, {"queue": "q\n"}, "queue"),
    "long queue": ({"queue": "q" * 64}, {"queue": "q" * 64}, "queue"),
    "negative delay": ({"delay": Duration(seconds=-1)}, {"delay": "-1s"}, "delay"),
    "delay beyond a year": ({"delay": Duration(seconds=367 * 86400)}, {"delay": f"{367 * 86400}s"}, "delay"),
    "run_at and delay": (
        {"delay": Duration(seconds=1), "run_at": Timestamp(seconds=2_000_000_000)},
        {"delay": "1s", "run_at": "2033-05-18T03:33:20Z"},
        "delay",
    ),
    "run_at before the epoch": ({"run_at": Timestamp(seconds=-1)}, {"run_at": "1969-12-31T23:59:59Z"}, "run_at"),
    "priority above": ({"priority": 11}, {"priority": 11}, "priority"),
    "priority below": ({"priority": -1}, {"priority": -1}, "priority"),
    "bad selector": ({"selector": "io=ssd,,"}, {"selector": "io=ssd,,"}, "selector"),
    "selector without bound": ({"selector": "memory_gb>=much"}, {"selector": "memory_gb>=much"}, "selector"),
    "long key": ({"idempotency_key": "é" * 129}, {"idempotency_key": "é" * 129}, "idempotency_key"),
    "control in key": ({"idempotency_key": "a\0b"}, {"idempotency_key": "a\0b"}, "idempotency_key"),
    "no timeout": ({"timeout": Duration()}, {"timeout": "0s"}, "timeout"),
    "no attempts": (
        {"retry": task_pb2.RetryPolicy(max_attempts=0)},
        {"retry": {"max_attempts": 0}},
        "retry.max_attempts",
    ),
    "negative backoff": (
        {"retry": task_pb2.RetryPolicy(initial_backoff=Duration(seconds=-1))},
        {"retry": {"initial_backoff": "-1s"}},
        "retry.initial_backoff",
    ),
    "too much jitter": ({"retry": task_pb2.RetryPolicy(jitter=1.5)}, {"retry": {"jitter": 1.5}}, "retry.jitter"),
    "dependencies": ({"depends_on": [UNKNOWN]}, {"depends_on": [UNKNOWN]}, "depends_on"),
    "control in traceparent": ({"traceparent": "00\n"}, {"traceparent": "00\n"}, "traceparent"),
}


@pytest.mark.parametrize("case", SPECS)
async def test_a_bad_field_is_named(api: Api, namespace: str, case: str) -> None:
    message, document, field = SPECS[case]
    good = {"namespace": namespace, "type": "demo.echo"}
    spec = task_pb2.TaskSpec(**{**good, **message})
    refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [f"task.{field}"])
    assert field in refusal.message

    answer = await api.http.post("/v1/tasks", json={**good, **document})
    assert (answer.status_code, violations(answer)) == (400, [field])
    assert answer.json()["reason"] == "INVALID_ARGUMENT"
    assert field in answer.json()["detail"]

    in_batch = await api.http.post("/v1/tasks:batch", json={"tasks": [{**good, **document}]})
    assert in_batch.json()["results"][0]["error"]["field"] == f"tasks[0].{field}"


async def test_an_empty_key_is_refused_where_it_can_be_told_from_none(api: Api, namespace: str) -> None:
    task = {"namespace": namespace, "type": "demo.echo"}
    said = "must not be empty; leave it out for none"
    empty = await api.http.post("/v1/tasks", json={**task, "idempotency_key": ""})
    assert empty.json()["detail"] == f"idempotency_key: {said}"
    header = await api.http.post("/v1/tasks", json=task, headers={"Idempotency-Key": ""})
    assert header.json()["detail"] == f"Idempotency-Key: {said}"
    batch = await api.http.post("/v1/tasks:batch", json={"tasks": [{**task, "idempotency_key": ""}]})
    assert batch.json()["results"][0]["error"]["message"] == f"tasks[0].idempotency_key: {said}"


@pytest.mark.parametrize(
    "payload",
    [
        DEEP,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        BROKEN_TEXT,
        b"nope",
        b"[1,]",
        b"NaN",
        b"1e999",
        b'"\\ud800"',
        b"9" * 5000,
    ],
    ids=["10000 deep", "65 deep", "not UTF-8", "word", "comma", "NaN", "infinite", "surrogate", "5000 digits"],
)
async def test_a_payload_that_is_not_json_is_refused(api: Api, namespace: str, payload: bytes) -> None:
    spec = task_pb2.TaskSpec(namespace=namespace, type="demo.echo", payload=payload)
    refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    assert refusal.fields == ["task.payload"]

    item = b'{"type":"demo.echo","payload":' + payload + b"}"
    answer = await api.http.post("/v1/tasks", content=item, headers=JSON)
    assert answer.status_code == 400
    assert violations(answer) in (["payload"], ["body"])
    assert "payload" in answer.json()["detail"]


async def test_a_payload_over_the_limit_is_refused(api: Api, namespace: str) -> None:
    payload = json.dumps("x" * (256 * 1024)).encode()
    spec = task_pb2.TaskSpec(namespace=namespace, type="demo.echo", payload=payload)
    refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    assert refusal.fields == ["task.payload"]
    answer = await api.http.post("/v1/tasks", content=b'{"type":"t","payload":' + payload + b"}", headers=JSON)
    assert violations(answer) == ["payload"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"type": "t", "priority": "high"}', "priority"),
        (b'{"type": "t", "priority": 5.0}', "priority"),
        (b'{"type": "t", "priority": true}', "priority"),
        (b'{"type": 7}', "type"),
        (b'{"type": "t", "delay": 5}', "delay"),
        (b'{"type": "t", "delay": "5"}', "delay"),
        (b'{"type": "t", "delay": "1h"}', "delay"),
        (b'{"type": "t", "run_at": "tomorrow"}', "run_at"),
        (b'{"type": "t", "run_at": "2026-01-31T12:00:00"}', "run_at"),
        (b'{"type": "t", "run_at": 1700000000}', "run_at"),
        (b'{"type": "t", "run_at": "2026-02-31T12:00:00Z"}', "run_at"),
        (b'{"type": "t", "retry": []}', "retry"),
        (b'{"type": "t", "retry": {"max_attempts": "3"}}', "retry.max_attempts"),
        (b'{"type": "t", "retry": {"attempts": 3}}', "retry.attempts"),
        (b'{"type": "t", "colour": "red"}', "colour"),
        (b'{"type": "t", "type": "u"}', "type"),
        (b'{"type": "t\xff"}', "type"),
        (b'{"type": "t", "idempotency_key": "\\ud800"}', "idempotency_key"),
        (b'{"type": "t", "\xff": 1}', "\\udcff"),
        (b'{"type": "t", "retry": ' + DEEP + b"}", "retry"),
        (b'{"type": "t", "priority": ' + b"9" * 5000 + b"}", "priority"),
        (b"{}", "type"),
        (b"[]", "body"),
        (b"", "body"),
        (b'{"type": "t"', "body"),
        (b'{"type": "t"} {}', "body"),
        (b'{"type" "t"}', "body"),
        (b"{type: 1}", "body"),
        (b"\xff", "body"),
        (DEEP, "body"),
    ],
)
async def test_a_bad_document_is_refused(api: Api, body: bytes, field: str) -> None:
    answer = await api.http.post("/v1/tasks", content=body, headers=JSON)
    assert (answer.status_code, violations(answer)) == (400, [field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"tasks": {}}', "tasks"),
        (b"{}", "tasks"),
        (b'{"tasks": [], "more": 1}', "more"),
        (b'{"tasks": [], "ids_only": "yes"}', "ids_only"),
        (b'{"tasks": [{]}', "body"),
    ],
)
async def test_a_bad_batch_is_refused(api: Api, body: bytes, field: str) -> None:
    answer = await api.http.post("/v1/tasks:batch", content=body, headers=JSON)
    assert (answer.status_code, violations(answer)) == (400, [field])


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (b"7", "tasks[0]"),
        (b'{"type": "t", "priority": "high"}', "tasks[0].priority"),
        (b'{"type": "t", "payload": "\xff"}', "tasks[0].payload"),
        (b'{"type": "t", "colour": 1}', "tasks[0].colour"),
        (b'{"type": "t", "type": "u"}', "tasks[0].type"),
        (b'{"type": "t", "payload": ' + DEEP + b"}", "tasks[0].payload"),
        (b'{"type": "t", "payload": NaN}', "tasks[0].payload"),
        (b'{"type": "t", "payload": "' + b"a" * 300_000 + b'"}', "tasks[0].payload"),
        (b'{"type": "t", "selector": "' + b"a" * 20_000 + b'"}', "tasks[0].selector"),
    ],
)
async def test_a_bad_task_of_a_batch_is_its_own_outcome(api: Api, item: bytes, field: str) -> None:
    answer = await api.http.post("/v1/tasks:batch", content=b'{"tasks": [' + item + b", 7]}", headers=JSON)
    assert answer.status_code == 200
    # The neighbour was read, too: one that were honest would have been stored.
    assert [result["error"]["field"] for result in answer.json()["results"]] == [field, "tasks[1]"]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        # Field 1 (task), in it field 3 (type) or 2 (queue), with a byte that is not UTF-8.
        (b"\x0a\x03\x1a\x01\xff", "task.type"),
        (b"\x0a\x06\x1a\x01t\x12\x01\xff", "task.queue"),
        (b"\x0a\x06\x1a\x01t\x6a\x01\xff", "task.depends_on[0]"),
        (b"\x0a\xff", "request"),
    ],
)
async def test_a_message_that_cannot_be_read_is_refused(api: Api, raw: bytes, field: str) -> None:
    submit = api.channel.unary_unary("/taskyard.v1.TaskService/SubmitTask", bytes, bytes)
    refusal = await refused(submit(raw))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


async def test_a_message_over_the_limit_is_refused(api: Api) -> None:
    request = task_service_pb2.SubmitTaskRequest(task=task_pb2.TaskSpec(type="t", payload=b" " * (7 * 1024 * 1024)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.tasks.SubmitTask(request)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    answer = await api.http.post("/v1/tasks", content=b" " * (6 * 1024 * 1024), headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_another_content_type_is_refused(api: Api, media_type: str | None) -> None:
    headers = {"content-type": media_type} if media_type else {}
    answer = await api.http.post("/v1/tasks", content=b'{"type": "t"}', headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_timestamps_and_durations_must_be_ones(api: Api) -> None:
    for fields, field in (
        ({"run_at": Timestamp(seconds=10**17)}, "run_at"),
        ({"run_at": Timestamp(seconds=1, nanos=-1)}, "run_at"),
        ({"delay": Duration(seconds=1, nanos=-1)}, "delay"),
    ):
        spec = task_pb2.TaskSpec(type="t", **fields)
        refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
        assert refusal.fields == [f"task.{field}"]


async def test_ids_must_be_uuids_of_tasks(api: Api) -> None:
    calls = {
        "GetTask": ("GET", "/v1/tasks/{}"),
        "CancelTask": ("POST", "/v1/tasks/{}:cancel"),
        "RedriveTask": ("POST", "/v1/tasks/{}:redrive"),
        "WaitTask": ("GET", "/v1/tasks/{}?wait=1s"),
    }
    for name, (method, path) in calls.items():
        call, kind = getattr(api.tasks, name), getattr(task_service_pb2, f"{name}Request")
        assert (await refused(call(kind(id="seven")))).fields == ["id"]
        assert (await refused(call(kind()))).fields == ["id"]
        missing = await refused(call(kind(id=UNKNOWN)))
        assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        assert UNKNOWN in missing.message
        bad = await api.http.request(method, path.format("seven"))
        assert (bad.status_code, violations(bad)) == (400, ["id"])
        none = await api.http.request(method, path.format(UNKNOWN))
        assert (none.status_code, none.json()["reason"]) == (404, "NOT_FOUND")
    attempts = await refused(api.tasks.ListAttempts(task_service_pb2.ListAttemptsRequest(task_id="seven")))
    assert attempts.fields == ["task_id"]
    gone = await refused(api.tasks.ListAttempts(task_service_pb2.ListAttemptsRequest(task_id=UNKNOWN)))
    assert gone.reason == "NOT_FOUND"
    assert (await api.http.get(f"/v1/tasks/{UNKNOWN}/attempts")).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=RUNING", "state"),
        ("queue=a%2Fb", "queue"),
        ("error_type=%00", "error_type"),
        ("page_size=1001", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=0", "page_size"),
        ("page_size=many", "page_size"),
        ("page_size=1_0", "page_size"),
        ("page_size=%2B5", "page_size"),
        ("page_size=+5", "page_size"),
        ("page_size=5%20", "page_size"),
        ("page_size=5.0", "page_size"),
        ("page_size=05", "page_size"),
        ("page_size=5e1", "page_size"),
        ("page_size=%D9%A5", "page_size"),
        ("page_size=%EF%BC%95", "page_size"),
        ("page_size=" + "9" * 5000, "page_size"),
        ("page_size=5&page_size=6", "page_size"),
        ("queue=a&queue=b", "queue"),
        ("queue=%FF", "query"),
        ("queue[]=a", "queue[]"),
        ("Queue=a", "Queue"),
        ("page_token=abc", "page_token"),
        ("page_token=%C3%A9", "page_token"),
        ("colour=red", "colour"),
    ],
)
async def test_bad_list_parameters_are_named(api: Api, query: str, field: str) -> None:
    answer = await api.http.get(f"/v1/tasks?{query}")
    assert (answer.status_code, violations(answer)) == (400, [field])


async def test_every_request_knows_its_parameters(api: Api) -> None:
    described = (await api.http.get("/openapi.json")).json()["paths"]
    found = 0
    for path, operations in described.items():
        for method, operation in operations.items():
            path_of_one = re.sub(r"\{\w+\}", UNKNOWN, path)
            single = [
                parameter["name"]
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "query" and parameter["schema"].get("type") != "array"
            ]
            for query, field in (("nonsense=1", "nonsense"), *((f"{name}=&{name}=", name) for name in single)):
                answer = await api.http.request(method, f"{path_of_one}?{query}")
                assert (answer.status_code, violations(answer)) == (400, [field]), (method, path, query)
                found += 1
    assert found > 25
    assert (await api.http.get("/v1/backlog?queue=a&queue=b&type=t&type=u")).status_code == 200
    assert (await api.http.get("/v1/tasks?page_size=&queue=")).status_code == 200


async def test_bad_list_fields_are_named_over_grpc(api: Api) -> None:
    for request, field in (
        (task_service_pb2.ListTasksRequest(page_size=1001), "page_size"),
        (task_service_pb2.ListTasksRequest(page_token="A" * 32), "page_token"),
        (task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(queue="a/b")), "filter.queue"),
        (task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(state=99)), "filter.state"),  # type: ignore[arg-type]
        (task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(error_type="\0")), "filter.error_type"),
    ):
        assert (await refused(api.tasks.ListTasks(request))).fields == [field]


@pytest.mark.parametrize("wait", ["61s", "-1s", "soon", "1h"])
async def test_bad_waits_are_named(api: Api, wait: str) -> None:
    answer = await api.http.get(f"/v1/tasks/{UNKNOWN}?wait={wait}")
    assert violations(answer) == ["wait"]


async def test_bad_waits_are_named_over_grpc(api: Api) -> None:
    request = task_service_pb2.WaitTaskRequest(id=UNKNOWN, wait=Duration(seconds=61))
    assert (await refused(api.tasks.WaitTask(request))).fields == ["wait"]
    for ids, field in (([], "ids"), ([UNKNOWN] * 1001, "ids"), ([UNKNOWN, "x"], "ids[1]")):
        stream = api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids))
        assert (await refused(stream.read())).fields == [field]


async def test_bad_bulk_operations_are_refused(api: Api) -> None:
    for verb in ("redrive", "purge"):
        for document, field in (
            ({"filter": {"state": "QUEUED"}}, "filter.state"),
            ({"filter": {"colour": "red"}}, "filter.colour"),
            ({"limit": 10_001}, "limit"),
            ({"limit": -1}, "limit"),
            ({"dry_run": "yes"}, "dry_run"),
        ):
            answer = await api.http.post(f"/v1/dlq:{verb}", json=document)
            assert (answer.status_code, violations(answer)) == (400, [field])
    queued = task_service_pb2.TaskFilter(state=task_pb2.TASK_STATE_QUEUED)
    redrive = task_service_pb2.RedriveTasksRequest(filter=queued)
    assert (await refused(api.tasks.RedriveTasks(redrive))).fields == ["filter.state"]
    purge = task_service_pb2.PurgeTasksRequest(limit=10_001)
    assert (await refused(api.tasks.PurgeTasks(purge))).fields == ["limit"]


async def test_bad_queue_settings_are_refused(api: Api) -> None:
    for request, field in (
        (queue_service_pb2.UpdateQueueRequest(), "name"),
        (queue_service_pb2.UpdateQueueRequest(name="a/b"), "name"),
        (queue_service_pb2.UpdateQueueRequest(name="q", max_backlog=-1), "max_backlog"),
        (queue_service_pb2.UpdateQueueRequest(name="q", retry=task_pb2.RetryPolicy(jitter=2)), "retry.jitter"),
    ):
        assert (await refused(api.queues.UpdateQueue(request))).fields == [field]
    answer = await api.http.patch("/v1/queues/q", json={"max_backlog": -1})
    assert violations(answer) == ["max_backlog"]
    answer = await api.http.patch("/v1/queues/q", json={"max_backlog": "many"})
    assert violations(answer) == ["max_backlog"]


async def test_a_hostile_payload_costs_little(api: Api, namespace: str) -> None:
    # A string that never ends, with brackets enough to be looked at: each of its quotes was once tried anew.
    payload = b"[" * 100 + b'"' + b'\\"' * 130_000
    spec = task_pb2.TaskSpec(namespace=namespace, type="demo.echo", payload=payload)
    async with asyncio.timeout(5):
        refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    assert refusal.fields == ["task.payload"]
