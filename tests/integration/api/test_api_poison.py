"""Rows that hold what no API would have taken, as both APIs show them: each as far as it can be, others whole."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from taskyard_core.domain.session_names import public_name
from taskyard_core.storage.postgres.database import Database
from taskyard_core.wire.gen import cluster_service_pb2, queue_service_pb2, task_service_pb2
from tests.integration.api.conftest import Api
from tests.integration.api.stage import Stage

UPDATES = {
    "endless timeout": "timeout_seconds = 'infinity'",
    "timeout that is no number": "timeout_seconds = 'NaN'",
    "timeout before now": "timeout_seconds = -3600",
    "timeout of ages": "timeout_seconds = 1e300",
    "ready since ever": "run_at = '-infinity'",
    "ready never": "run_at = 'infinity', state = 'SCHEDULED'",
    "ready in year 20000": "run_at = '20000-01-01Z', state = 'SCHEDULED'",
    "expiring never": "expires_at = 'infinity'",
    "made before the calendar": "created_at = '4000-01-01 BC'",
    "made after it": "created_at = 'infinity'",
    "ended after the calendar": "state = 'FAILED', finished_at = '20000-01-01Z', started_at = '-infinity'",
    "payload that is no JSON": r"payload = '\xff7b'",
    "huge payload": "payload = convert_to(repeat('x', 300000), 'UTF8')",
    "result that is no JSON": "result = 'NaN'",
    "error that is no JSON": "state = 'FAILED', finished_at = now(), error = '{'",
    "error of another shape": """state = 'FAILED', finished_at = now(), error = '{"type": 1}'""",
    "retry that is no JSON": "retry = 'twice'",
    "retry of another shape": """retry = '{"max_attempts": 1e999}'""",
    "progress of another shape": """progress = '[1]'""",
    "odd names": "queue = 'a/b', type = E'\\n', selector = E'\\x1b'",
    "counts without end": "attempt = 2147483647, failures = 2147483647, crashes = -2147483648",
}


@pytest_asyncio.fixture(loop_scope="session")
async def unchecked(database: Database) -> AsyncIterator[Database]:
    """The tables as they were before they had bounds."""
    names = ("timeout", "run_at", "expires_at")
    checks = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = ANY ($1)"
    defined = await database.fetch(checks, [f"task_{name}_range" for name in names])
    for name, _ in defined:
        await database.fetch(f"ALTER TABLE taskyard.task DROP CONSTRAINT {name}")
    yield database
    await database.fetch("DELETE FROM taskyard.task")
    for name, definition in defined:
        await database.fetch(f"ALTER TABLE taskyard.task ADD CONSTRAINT {name} {definition}")


@pytest.mark.parametrize("case", UPDATES)
async def test_every_way_to_look_at_it_answers(api: Api, unchecked: Database, namespace: str, case: str) -> None:
    ids = await api.submit_many(namespace, 3)
    await unchecked.fetch(f"UPDATE taskyard.task SET {UPDATES[case]} WHERE id = $1", ids[1])
    for path in (
        f"/v1/tasks/{ids[1]}",
        f"/v1/tasks/{ids[1]}?wait=0.01s",
        f"/v1/tasks?namespace={namespace}",
        f"/v1/tasks?namespace={namespace}&state=FAILED&error_type=ValueError",
        f"/v1/tasks/{ids[1]}/attempts",
        f"/v1/queues?namespace={namespace}",
        f"/v1/backlog?namespace={namespace}&labels=io%3Dssd",
        "/metrics",
    ):
        answer = await api.http.get(path)
        assert answer.status_code == 200, (path, answer.text)
        if path != "/metrics":
            answer.json()
    shown = (await api.http.get(f"/v1/tasks?namespace={namespace}&page_size=100")).json()
    assert len(shown["tasks"]) == 3 or (case == "huge payload" and shown["next_page_token"])
    listed = await api.tasks.ListTasks(
        task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(namespace=namespace))
    )
    assert set(ids) >= {task.id for task in listed.tasks}
    assert (await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=ids[1]))).id == ids[1]
    await api.queues.ListQueues(queue_service_pb2.ListQueuesRequest(namespace=namespace))
    watch = api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids))
    async for seen in watch:
        assert {task.id for task in seen.tasks} == set(ids)
        break
    watch.cancel()
    for verb in ("redrive", "purge"):
        document = {"filter": {"namespace": namespace, "error_type": "ValueError"}, "dry_run": True}
        assert (await api.http.post(f"/v1/dlq:{verb}", json=document)).json()["count"] == 0
    if (await api.http.get(f"/v1/tasks/{ids[1]}")).json()["state"] == "FAILED":
        assert (await api.http.post(f"/v1/tasks/{ids[1]}:redrive")).status_code == 200
    assert (await api.http.post(f"/v1/tasks/{ids[1]}:cancel")).status_code == 200
    assert (await api.http.post(f"/v1/tasks/{ids[0]}:cancel")).status_code == 200


@pytest.mark.parametrize(
    "update",
    [
        "labels = '7'",
        """labels = '{"io": 7, "zone": "a"}'""",
        "types = ARRAY[NULL, 't']",
        "queues = ARRAY[ARRAY['a'], ARRAY['b']]",
        "connected_at = 'infinity'",
        "connected_at = '20000-01-01Z'",
        "pid = -9223372036854775808",
        "worker = E'\\x1b\\n'",
    ],
)
async def test_workers_are_shown_whatever_their_rows_hold(api: Api, stage: Stage, namespace: str, update: str) -> None:
    (task_id,) = await api.submit_many(namespace, 1)
    await stage.run([task_id])
    await stage.database.fetch(f"UPDATE taskyard.session SET {update} WHERE id = $1", stage.session)
    found: list[dict[str, Any]] = (await api.http.get(f"/v1/workers?namespace={namespace}")).json()["workers"]
    assert [worker["session_id"] for worker in found] == [public_name(stage.session)]
    request = cluster_service_pb2.ListWorkersRequest(namespace=namespace)
    assert len((await api.cluster.ListWorkers(request)).workers) == 1
    assert (await api.http.get(f"/v1/backlog?namespace={namespace}&labels=io%3Dssd")).status_code == 200
