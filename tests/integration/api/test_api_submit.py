"""Submitting through both APIs."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from taskyard_core.wire.gen import task_pb2, task_service_pb2
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage


def request(namespace: str, **fields: Any) -> task_service_pb2.SubmitTaskRequest:
    fields = {"namespace": namespace, "type": "demo.echo", **fields}
    return task_service_pb2.SubmitTaskRequest(task=task_pb2.TaskSpec(**fields))


async def test_what_is_left_out_takes_the_defaults(api: Api) -> None:
    task = (await api.http.post("/v1/tasks", json={"type": "demo.echo"})).json()
    assert (task["namespace"], task["queue"], task["priority"], task["payload"]) == ("default", "default", 5, None)
    assert (task["state"], task["attempt"], task["selector"]) == ("QUEUED", 0, "")
    assert task["run_at"] == task["created_at"]


async def test_submit_and_get_agree_over_grpc(api: Api, namespace: str) -> None:
    task = await api.submit(
        namespace,
        payload=b'{"n": 1}',
        queue="q",
        priority=0,
        selector="gpu , io = ssd",
        idempotency_key="key",
        timeout=Duration(seconds=5),
        retry=task_pb2.RetryPolicy(max_attempts=7, jitter=0.0, initial_backoff=Duration(nanos=500_000_000)),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    )
    assert (task.priority, task.selector, task.retry.jitter) == (0, "gpu,io=ssd", 0.0)
    assert task.retry.HasField("jitter")
    assert not task.retry.HasField("multiplier")
    assert await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=task.id)) == task


async def test_submit_and_get_agree_over_rest(api: Api, namespace: str) -> None:
    document = {
        "namespace": namespace,
        "queue": "q",
        "type": "demo.echo",
        "payload": {"n": 1},
        "priority": 0,
        "selector": "io=ssd",
        "idempotency_key": "key",
        "run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "expires_at": "2999-12-31T23:59:59.123456+01:00",
        "timeout": "5s",
        "retry": {"max_attempts": 7, "initial_backoff": "0.5s", "multiplier": 2, "max_backoff": "60s", "jitter": 0},
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    }
    answer = await api.http.post("/v1/tasks", json=document)
    task = answer.json()
    assert answer.status_code == 201, task
    assert (task["state"], task["timeout"], task["expires_at"]) == ("SCHEDULED", "5s", "2999-12-31T22:59:59.123456Z")
    assert task["retry"] == document["retry"]
    assert (await api.http.get(f"/v1/tasks/{task['id']}")).json() == task


async def test_a_delayed_task_is_scheduled(api: Api, namespace: str) -> None:
    task = await api.submit(namespace, delay=Duration(seconds=60))
    assert task.state == task_pb2.TASK_STATE_SCHEDULED
    assert task.run_at.ToDatetime() - task.created_at.ToDatetime() == timedelta(seconds=60)
    assert await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=task.id)) == task


@pytest.mark.parametrize(
    "payload",
    [
        b"12345678901234567890123456789",
        b'{"price": 1.10, "tiny": 1e-300, "big": 9007199254740993}',
        b' [ 1 , "\xc3\xa9\\u00e9" ] ',
        b'"\\u0000"',
        b"{}",
        b'{"payload": {"payload": 1}}',
    ],
)
async def test_payloads_stay_the_bytes_they_were(api: Api, namespace: str, payload: bytes) -> None:
    body = b'{"type": "demo.echo", "namespace": "%s", "payload":%s}' % (namespace.encode(), payload)
    answer = await api.http.post("/v1/tasks", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert b'"payload":' + payload.strip() in answer.content
    stored = await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=answer.json()["id"]))
    assert stored.payload == payload.strip()


async def test_the_same_key_and_request_give_the_first_task(api: Api, namespace: str) -> None:
    first = await api.tasks.SubmitTask(request(namespace, idempotency_key="k"))
    again = await api.tasks.SubmitTask(request(namespace, idempotency_key="k"))
    over_rest = await api.http.post(
        "/v1/tasks", json={"namespace": namespace, "type": "demo.echo"}, headers={"Idempotency-Key": "k"}
    )
    assert (first.deduplicated, again.deduplicated) == (False, True)
    assert again.task == first.task
    assert over_rest.status_code == 200
    assert over_rest.json()["id"] == first.task.id


async def test_the_same_key_for_another_request_conflicts(api: Api, namespace: str) -> None:
    first = await api.submit(namespace, idempotency_key="k")
    refusal = await refused(api.tasks.SubmitTask(request(namespace, idempotency_key="k", priority=9)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_CONFLICT")
    assert refusal.metadata["task_id"] == first.id
    document = {"namespace": namespace, "type": "demo.echo", "priority": 9, "idempotency_key": "k"}
    answer = await api.http.post("/v1/tasks", json=document)
    assert answer.status_code == 409
    assert answer.json()["reason"] == "IDEMPOTENCY_CONFLICT"
    assert answer.json()["metadata"]["task_id"] == first.id


@pytest.mark.parametrize(
    ("payload", "again", "other"),
    [
        (b'{"n": 1, "of": [0.5]}', b'{"of":[5e-1],"n":1.0}', b'{"of":[5e-1],"n":1.1}'),
        (b"9007199254740993", b" 9007199254740993.0", b"9007199254740992"),
        (b'"<\xc3\xa9>"', b'"\\u003c\\u00e9>"', b'"<e>"'),
    ],
)
async def test_the_same_key_may_come_in_another_languages_spelling(
    api: Api, namespace: str, payload: bytes, again: bytes, other: bytes
) -> None:
    first = await api.submit(namespace, idempotency_key="k", payload=payload)
    second = await api.tasks.SubmitTask(request(namespace, idempotency_key="k", payload=again))
    assert (second.deduplicated, second.task.id, second.task.payload) == (True, first.id, payload)
    fields = b'{"namespace": "%s", "type": "demo.echo", "payload": %s}' % (namespace.encode(), again)
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    over_rest = await api.http.post("/v1/tasks", content=fields, headers=headers)
    assert (over_rest.status_code, over_rest.json()["id"]) == (200, first.id)
    refusal = await refused(api.tasks.SubmitTask(request(namespace, idempotency_key="k", payload=other)))
    assert refusal.reason == "IDEMPOTENCY_CONFLICT"


async def test_a_key_belongs_to_its_namespace(api: Api, namespace: str) -> None:
    first = await api.submit(namespace, idempotency_key="k")
    assert (await api.submit(f"{namespace}-b", idempotency_key="k")).id != first.id


async def test_header_and_field_must_not_differ(api: Api, namespace: str) -> None:
    document = {"namespace": namespace, "type": "demo.echo", "idempotency_key": "ключ"}
    same = await api.http.post("/v1/tasks", json=document, headers={b"Idempotency-Key": "ключ".encode()})
    assert same.status_code == 201
    assert same.json()["idempotency_key"] == "ключ"
    answer = await api.http.post("/v1/tasks", json=document, headers={"Idempotency-Key": "other"})
    assert answer.status_code == 400
    assert answer.json()["violations"][0]["field"] == "idempotency_key"


async def test_racing_submits_of_one_key_make_one_task(api: Api, namespace: str, stage: Stage) -> None:
    before = await stage.count("task")
    document = {"namespace": namespace, "type": "demo.echo", "idempotency_key": "race"}
    over_grpc = [api.tasks.SubmitTask(request(namespace, idempotency_key="race")) for _ in range(40)]
    over_rest = [api.http.post("/v1/tasks", json=document) for _ in range(20)]
    answers = await asyncio.gather(*over_grpc)
    responses = await asyncio.gather(*over_rest)
    assert len({answer.task.id for answer in answers} | {response.json()["id"] for response in responses}) == 1
    assert [answer.deduplicated for answer in answers].count(False) + [r.status_code for r in responses].count(201) == 1
    assert await stage.count("task") == before + 1


async def test_each_task_of_a_batch_has_its_own_outcome(api: Api, namespace: str) -> None:
    first = await api.submit(namespace, idempotency_key="taken")
    good = {"namespace": namespace, "type": "demo.echo"}
    specs: list[dict[str, Any]] = [
        good,
        good | {"priority": 11},
        good | {"idempotency_key": "taken"},
        good | {"idempotency_key": "taken", "queue": "other"},
        good | {"idempotency_key": "twin"},
        good | {"idempotency_key": "twin"},
    ]
    messages = [task_pb2.TaskSpec(**spec) for spec in specs]
    answer = await api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=messages))
    over_rest = (await api.http.post("/v1/tasks:batch", json={"tasks": specs})).json()["results"]

    assert [result.WhichOneof("outcome") for result in answer.results] == [
        "task", "error", "task", "error", "task", "task",
    ]  # fmt: skip
    assert [("task" if "task" in result else "error") for result in over_rest] == [
        "task", "error", "task", "error", "task", "task",
    ]  # fmt: skip
    assert answer.results[0].task.state == task_pb2.TASK_STATE_QUEUED
    assert (answer.results[1].error.reason, answer.results[1].error.field) == ("INVALID_ARGUMENT", "tasks[1].priority")
    assert (over_rest[1]["error"]["reason"], over_rest[1]["error"]["field"]) == (
        "INVALID_ARGUMENT",
        "tasks[1].priority",
    )
    assert answer.results[2].task == first
    assert answer.results[2].deduplicated
    assert (answer.results[3].error.reason, answer.results[3].error.task_id) == ("IDEMPOTENCY_CONFLICT", first.id)
    assert over_rest[3]["error"]["task_id"] == first.id
    assert answer.results[4].task.id == answer.results[5].task.id == over_rest[4]["task"]["id"]
    assert [answer.results[4].deduplicated, answer.results[5].deduplicated] == [False, True]


async def test_a_batch_may_be_answered_with_ids_only(api: Api, namespace: str, stage: Stage) -> None:
    first = await api.submit(namespace, idempotency_key="known")
    await stage.run([first.id])
    specs: list[dict[str, Any]] = [{"namespace": namespace, "type": "demo.echo", "idempotency_key": "known"}]
    specs += [{"namespace": namespace, "type": "demo.echo"}]
    messages = [task_pb2.TaskSpec(**spec) for spec in specs]
    answer = await api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=messages, ids_only=True))
    assert answer.results[0].task == task_pb2.Task(id=first.id, state=task_pb2.TASK_STATE_RUNNING)
    assert answer.results[1].task.state == task_pb2.TASK_STATE_QUEUED
    over_rest = await api.http.post("/v1/tasks:batch", json={"tasks": specs, "ids_only": True})
    assert over_rest.json()["results"][0] == {"task": {"id": first.id, "state": "RUNNING"}, "deduplicated": True}


async def test_a_thousand_tasks_are_a_batch_and_one_more_is_not(api: Api, namespace: str, stage: Stage) -> None:
    assert len(set(await api.submit_many(namespace, 1000))) == 1000
    before = await stage.count("task")
    specs = [task_pb2.TaskSpec(namespace=namespace, type="demo.echo")] * 1001
    refusal = await refused(api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=specs)))
    assert refusal.fields == ["tasks"]
    document = {"tasks": [{"namespace": namespace, "type": "demo.echo"}] * 1001}
    answer = await api.http.post("/v1/tasks:batch", json=document)
    assert (answer.status_code, answer.json()["violations"][0]["field"]) == (400, "tasks")
    assert await stage.count("task") == before


async def test_a_batch_of_more_than_4_mib_is_refused(api: Api, namespace: str, stage: Stage) -> None:
    before = await stage.count("task")
    spec = {"namespace": namespace, "type": "demo.echo", "payload": "x" * 250_000}
    message = task_pb2.TaskSpec(**(spec | {"payload": json.dumps(spec["payload"]).encode()}))  # type: ignore[arg-type]
    refusal = await refused(api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=[message] * 17)))
    assert (refusal.reason, refusal.fields) == ("PAYLOAD_TOO_LARGE", ["tasks"])
    answer = await api.http.post("/v1/tasks:batch", json={"tasks": [spec] * 17})
    assert (answer.status_code, answer.json()["reason"]) == (413, "PAYLOAD_TOO_LARGE")
    assert await stage.count("task") == before


async def test_an_empty_batch_has_no_results(api: Api) -> None:
    assert not (await api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest())).results
    assert (await api.http.post("/v1/tasks:batch", json={"tasks": []})).json() == {"results": []}


async def test_a_cancelled_call_leaves_all_of_its_tasks_or_none(api: Api, namespace: str, stage: Stage) -> None:
    for turns in range(10):
        specs = [task_pb2.TaskSpec(namespace=namespace, queue=f"q{turns}", type="demo.echo") for _ in range(100)]
        call = api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=specs))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    query = "SELECT queue, count(*) FROM taskyard.task WHERE namespace = $1 GROUP BY 1"
    assert {row[1] for row in await stage.database.fetch(query, namespace)} <= {100}
