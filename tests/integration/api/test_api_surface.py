"""What every route has in common, and that both APIs speak of the same fields."""

import re
from base64 import b64encode
from typing import Any

import orjson
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import BaseModel

from taskyard_core.wire.gen import cluster_service_pb2, queue_service_pb2, task_pb2, task_service_pb2
from taskyard_scheduler.api.rest import models, views
from tests.integration.api.conftest import Api


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/v1/tasks/", 404, "NOT_FOUND"),
        ("DELETE", "/v1/tasks", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/tasks:batch", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/v1/tasks/0199f3c2-5f1e-7cc0-8d5a-3f6a1c2b4d5e", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_unknown_routes_are_problems(api: Api, method: str, path: str, status: int, reason: str) -> None:
    answer = await api.http.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.json()["type"] == "about:blank"


PAIRS: list[tuple[type[BaseModel], Descriptor]] = [
    (models.TaskSpec, task_pb2.TaskSpec.DESCRIPTOR),
    (models.RetryPolicy, task_pb2.RetryPolicy.DESCRIPTOR),
    (models.Batch, task_service_pb2.SubmitTasksRequest.DESCRIPTOR),
    (models.TaskFilter, task_service_pb2.TaskFilter.DESCRIPTOR),
    (models.DeadLetters, task_service_pb2.RedriveTasksRequest.DESCRIPTOR),
    (models.DeadLetters, task_service_pb2.PurgeTasksRequest.DESCRIPTOR),
    (views.Task, task_pb2.Task.DESCRIPTOR),
    (views.StoredRetryPolicy, task_pb2.RetryPolicy.DESCRIPTOR),
    (views.TaskError, task_pb2.TaskError.DESCRIPTOR),
    (views.Progress, task_pb2.Progress.DESCRIPTOR),
    (views.TaskList, task_service_pb2.ListTasksResponse.DESCRIPTOR),
    (views.SubmitError, task_service_pb2.SubmitError.DESCRIPTOR),
    (views.Attempt, task_pb2.Attempt.DESCRIPTOR),
    (views.BulkResult, task_service_pb2.RedriveTasksResponse.DESCRIPTOR),
    (views.Backlog, queue_service_pb2.Backlog.DESCRIPTOR),
    (views.Queue, queue_service_pb2.Queue.DESCRIPTOR),
    (views.Worker, cluster_service_pb2.Worker.DESCRIPTOR),
    (views.Leader, cluster_service_pb2.Leader.DESCRIPTOR),
    (views.Dispatcher, cluster_service_pb2.Dispatcher.DESCRIPTOR),
    (views.Cluster, cluster_service_pb2.Cluster.DESCRIPTOR),
]


@pytest.mark.parametrize(("model", "message"), PAIRS, ids=[f"{model.__name__}-{d.name}" for model, d in PAIRS])
def test_both_apis_have_the_same_fields(model: type[BaseModel], message: Descriptor) -> None:
    assert set(model.model_fields) == {field.name for field in message.fields}


async def test_answers_are_as_described(api: Api, namespace: str) -> None:
    task = (await api.http.post("/v1/tasks", json={"namespace": namespace, "type": "demo.echo"})).json()
    assert set(task) == set(views.Task.model_fields)
    listed = (await api.http.get("/v1/tasks", params={"namespace": namespace})).json()
    assert listed == {"tasks": [task], "next_page_token": ""}
    queue = (await api.http.get("/v1/queues", params={"namespace": namespace})).json()["queues"][0]
    assert set(queue) == set(views.Queue.model_fields)


SENT: dict[str, Any] = {
    "namespace": "set by the test",
    "queue": "mail",
    "type": "demo.every-field",
    "payload": {"to": ["ada", 1.5, None]},
    "priority": 7,
    "selector": "gpu=a100,!spot",
    "idempotency_key": "once",
    "run_at": "2090-01-02T03:04:05.678901Z",
    "expires_at": "2091-01-02T03:04:05.678901Z",
    "timeout": "12.5s",
    "retry": {"max_attempts": 9, "initial_backoff": "2s", "multiplier": 3.0, "max_backoff": "90s", "jitter": 0.25},
    "traceparent": "00-4ba931fc6064451a195f5bdc151d78be-00f067aa0ba902b7-01",
}
"""Every field of a task that can be sent, none with its default."""
ELSEWHERE = {"delay", "depends_on"}
"""`delay` becomes `run_at`; `depends_on` is refused for now."""


@pytest.mark.parametrize("sent_over", ["REST", "gRPC"])
async def test_every_field_that_is_sent_is_read_again(api: Api, namespace: str, sent_over: str) -> None:
    assert set(SENT) == {field.name for field in task_pb2.TaskSpec.DESCRIPTOR.fields} - ELSEWHERE
    document = {**SENT, "namespace": namespace}
    message = ParseDict({**document, "payload": b64encode(orjson.dumps(SENT["payload"])).decode()}, task_pb2.TaskSpec())
    if sent_over == "REST":
        answer = (await api.http.post("/v1/tasks", json=document)).json()
    else:
        sent = await api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=message))
        answer = (await api.http.get(f"/v1/tasks/{sent.task.id}")).json()
    assert {name: answer[name] for name in document} == document
    assert answer == (await api.http.get(f"/v1/tasks/{answer['id']}")).json()
    read = await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=answer["id"]))
    assert {name: getattr(read, name) for name in SENT} == {name: getattr(message, name) for name in SENT}


async def test_the_description_is_whole(api: Api) -> None:
    description = (await api.http.get("/openapi.json")).json()
    schemas = description["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', (await api.http.get("/openapi.json")).text):
        assert name in schemas
    assert description["info"]["title"] == "Taskyard"
    assert set(description["paths"]) == {
        "/v1/tasks",
        "/v1/tasks:batch",
        "/v1/tasks/{id}",
        "/v1/tasks/{id}/attempts",
        "/v1/tasks/{id}:cancel",
        "/v1/tasks/{id}:redrive",
        "/v1/dlq:redrive",
        "/v1/dlq:purge",
        "/v1/queues",
        "/v1/queues/{name}",
        "/v1/backlog",
        "/v1/cluster",
        "/v1/workers",
    }
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)
    submit = description["paths"]["/v1/tasks"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/TaskSpec")
    assert schemas["TaskSpec"]["required"] == ["type"]
    assert {"200", "201", "400", "409", "413", "415", "429", "503"} <= set(submit["responses"])
    assert "422" not in submit["responses"]


async def test_the_documentation_needs_no_other_server(api: Api) -> None:
    page = await api.http.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        assert (await api.http.get(address)).status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")


async def test_probes_and_metrics_answer(api: Api) -> None:
    assert (await api.http.get("/livez")).status_code == 200
    assert (await api.http.get("/readyz")).status_code == 200
    metrics = await api.http.get("/metrics")
    assert metrics.status_code == 200
    assert "taskyard" in metrics.text


async def test_health_and_reflection_answer(api: Api) -> None:
    health = health_pb2_grpc.HealthStub(api.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service="taskyard.v1.TaskService"))
    async for answer in watch:
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            break
    watch.cancel()
    ask = reflection_pb2_grpc.ServerReflectionStub(api.channel).ServerReflectionInfo
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    async for listed in ask(asked):
        names = {service.name for service in listed.list_services_response.service}
        assert {"taskyard.v1.TaskService", "taskyard.v1.QueueService", "taskyard.v1.ClusterService"} <= names
        assert "grpc.health.v1.Health" in names
        break


async def test_submits_and_cancels_are_counted(api: Api, namespace: str) -> None:
    task = await api.submit(namespace)
    await api.http.post(f"/v1/tasks/{task.id}:cancel")
    await api.submit(namespace, idempotency_key="k")
    await api.submit(namespace, idempotency_key="k")
    lines = [line for line in (await api.http.get("/metrics")).text.splitlines() if f'"{namespace}"' in line]
    assert any("submitted" in line and line.endswith(" 2.0") for line in lines), lines
    assert any("deduplicated" in line and line.endswith(" 1.0") for line in lines), lines
    assert any("CANCELLED" in line and line.endswith(" 1.0") for line in lines), lines
