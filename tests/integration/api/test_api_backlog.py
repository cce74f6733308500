"""The backlog: what waits for workers with some labels, and what they run."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client.parser import text_string_to_metric_families

from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.sessions import Sessions
from taskyard_core.wire.gen import queue_service_pb2, task_service_pb2
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage
from tests.integration.api.test_api_bad_input import violations


async def ask(api: Api, namespace: str, **query: Any) -> tuple[int, int]:
    """Backlog and running tasks, as of now and over both APIs."""
    await api.scheduler.parts.backlogs.refresh()
    answer = await api.http.get("/v1/backlog", params={"namespace": namespace, **query})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    pairs = [pair.split("=") for pair in query.get("labels", "").split(",") if pair]
    request = queue_service_pb2.GetBacklogRequest(
        namespace=namespace, labels=dict(pairs), queues=query.get("queue"), types=query.get("type")
    )
    over_grpc = await api.queues.GetBacklog(request)
    assert found == {"backlog": over_grpc.backlog, "running": over_grpc.running}
    return found["backlog"], found["running"]


async def test_it_holds_what_workers_with_such_labels_could_run(api: Api, namespace: str, stage: Stage) -> None:
    assert await ask(api, namespace) == (0, 0)
    await api.submit(namespace)
    await api.submit_many(namespace, 2, selector="io=ssd", priority=9)
    await api.submit_many(namespace, 4, selector="io=ssd,memory_gb>=16")
    await api.submit(namespace, delay=Duration(seconds=60))
    await api.submit("elsewhere", selector="io=ssd")
    assert await ask(api, namespace) == (1, 0)
    assert await ask(api, namespace, labels="io=ssd") == (3, 0)
    assert await ask(api, namespace, labels="io=ssd,memory_gb=32,zone=a") == (7, 0)
    assert await ask(api, namespace, labels="io=ssd,memory_gb=8") == (3, 0)


async def test_queues_and_types_narrow_it_down(api: Api, namespace: str, stage: Stage) -> None:
    await api.submit_many(namespace, 1, queue="a")
    await api.submit_many(namespace, 2, queue="b")
    await api.submit_many(namespace, 4, queue="c")
    await api.submit_many(namespace, 8, queue="c", type="demo.sleep")
    assert await ask(api, namespace, queue=["a", "b"]) == (3, 0)
    assert await ask(api, namespace, queue=["c"], type=["demo.sleep"]) == (8, 0)
    assert await ask(api, namespace, type=["demo.echo"]) == (7, 0)


async def test_what_runs_counts_for_the_workers_that_run_it(api: Api, namespace: str, stage: Stage) -> None:
    ids = await api.submit_many(namespace, 3, queue="a")
    await stage.run(ids[:2])
    # The stage's worker has the label io=ssd.
    assert await ask(api, namespace, labels="io=ssd", queue=["a"]) == (1, 2)
    assert await ask(api, namespace, labels="io=ssd", queue=["b"]) == (0, 0)
    assert await ask(api, namespace) == (1, 0)
    assert await ask(api, namespace, labels="io=ssd,zone=a") == (1, 0)
    await stage.succeed(ids[0])
    assert await ask(api, namespace, labels="io=ssd") == (1, 1)
    await Sessions(stage.database).drain(stage.session, 1)
    assert await ask(api, namespace, labels="io=ssd") == (1, 0)


async def test_cancelled_tasks_and_selectors_that_cannot_be_read_wait_for_nobody(
    api: Api, namespace: str, stage: Stage
) -> None:
    task = await api.submit(namespace)
    assert await ask(api, namespace) == (1, 0)
    await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=task.id))
    # Written past the function, which would refuse it.
    poisoned = (await stage.database.fetch("SELECT taskyard.submit('demo.echo', namespace => $1)", namespace))[0][0]
    await stage.database.fetch("UPDATE taskyard.task SET selector = '((' WHERE id = $1", poisoned)
    assert await ask(api, namespace) == (0, 0)


async def test_the_metric_tells_each_selector_and_stays_at_zero(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace, queue="a", selector="io=ssd")
    await api.submit_many(namespace, 2, queue="a")
    assert await metric(api, namespace) == {("a", "io=ssd"): 1.0, ("a", ""): 2.0}
    await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=task.id))
    assert await metric(api, namespace) == {("a", "io=ssd"): 0.0, ("a", ""): 2.0}


async def metric(api: Api, namespace: str) -> dict[tuple[str, str], float]:
    await api.scheduler.readings.queues.run_once()
    await api.scheduler.readings.backlogs.run_once()
    text = (await api.http.get("/metrics")).text
    return {
        (sample.labels["queue"], sample.labels["selector"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "taskyard_queue_backlog" and sample.labels["namespace"] == namespace
    }


async def test_no_count_reads_ended_tasks(stage: Stage) -> None:
    plan = "\n".join(row[0] for row in await stage.database.fetch("EXPLAIN " + load("lane_backlogs"), 10))
    assert "task_queued" in plan
    assert "Seq Scan on task" not in plan


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("namespace=a%2Fb", "namespace"),
        ("labels=io", "labels"),
        ("labels=%3Dssd", "labels"),
        ("labels=io%3Dssd%2Cio%3Dhdd", "labels"),
        ("labels=a%20b%3D1", "labels[a b]"),
        (f"labels=a%3D{'x' * 257}", "labels[a]"),
        (f"labels={'%2C'.join(f'a{n}%3D1' for n in range(65))}", "labels"),
        ("queue=a&queue=b%2Fc", "queue"),
        ("type=a%20b", "type"),
        ("colour=red", "colour"),
    ],
)
async def test_bad_parameters_are_named(api: Api, query: str, field: str) -> None:
    answer = await api.http.get(f"/v1/backlog?{query}")
    assert (answer.status_code, violations(answer)) == (400, [field])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"namespace": "a/b"}, "namespace"),
        ({"labels": {"a b": "1"}}, "labels[a b]"),
        ({"queues": ["a", "b/c"]}, "queues"),
        ({"types": ["a b"]}, "types"),
    ],
)
async def test_bad_fields_are_named_over_grpc(api: Api, fields: dict[str, Any], field: str) -> None:
    refusal = await refused(api.queues.GetBacklog(queue_service_pb2.GetBacklogRequest(**fields)))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
