"""Queues: counts, settings and the limit on what waits."""

import asyncio
from dataclasses import replace

import grpc
from google.protobuf.duration_pb2 import Duration

from taskyard_core.domain.task import TaskSpec
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queues import StoredQueues
from taskyard_core.storage.postgres.sessions import Sessions
from taskyard_core.wire.gen import queue_service_pb2, task_pb2, task_service_pb2
from taskyard_scheduler.api.admission import Admission
from taskyard_scheduler.api.lane_room import LaneRoom
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage


async def queues(api: Api, namespace: str) -> dict[str, queue_service_pb2.Queue]:
    answer = await api.queues.ListQueues(queue_service_pb2.ListQueuesRequest(namespace=namespace))
    return {queue.name: queue for queue in answer.queues}


async def test_queues_count_their_tasks_by_state(api: Api, namespace: str, stage: Stage) -> None:
    ids = await api.submit_many(namespace, 6, queue="a")
    await api.submit_many(namespace, 2, queue="a", type="demo.fail", priority=9)
    await api.submit(namespace, queue="a", delay=Duration(seconds=60))
    await api.submit(namespace, queue="b", delay=Duration(seconds=60))
    await stage.run(ids[:3])
    await stage.fail(ids[0])
    await stage.succeed(ids[1])
    await stage.database.fetch(
        "UPDATE taskyard.task SET run_at = now() - interval '1 hour' WHERE id = $1::uuid", ids[4]
    )
    found = await queues(api, namespace)
    a, b = found["a"], found["b"]
    assert (a.scheduled, a.blocked, a.queued, a.running, a.failed) == (1, 0, 5, 1, 1)
    assert 3600 <= a.oldest_age.ToTimedelta().total_seconds() < 3700
    assert (b.scheduled, b.queued) == (1, 0)
    assert not b.HasField("oldest_age")
    over_rest = (await api.http.get("/v1/queues", params={"namespace": namespace})).json()["queues"]
    assert [queue["name"] for queue in over_rest] == ["a", "b"]
    assert (over_rest[0]["queued"], over_rest[1]["oldest_age"]) == (5, None)


async def test_counts_read_no_ended_task(api: Api, namespace: str, stage: Stage) -> None:
    plan = await stage.database.fetch(
        "EXPLAIN SELECT lane, count(*) FROM taskyard.task WHERE state = 'QUEUED' GROUP BY lane"
    )
    assert any("task_queued" in row[0] for row in plan)


async def test_settings_are_set_one_by_one(api: Api, namespace: str) -> None:
    first = await api.queues.UpdateQueue(
        queue_service_pb2.UpdateQueueRequest(
            namespace=namespace, name="q", retry=task_pb2.RetryPolicy(max_attempts=9), max_backlog=7
        )
    )
    assert (first.retry.max_attempts, first.max_backlog) == (9, 7)
    assert not first.retry.HasField("jitter")
    second = await api.http.patch(
        "/v1/queues/q", params={"namespace": namespace}, json={"retry": {"initial_backoff": "0.5s"}}
    )
    document = second.json()
    assert (document["max_backlog"], document["retry"]["initial_backoff"]) == (7, "0.5s")
    assert document["retry"]["max_attempts"] is None
    assert (await queues(api, namespace))["q"].max_backlog == 7


async def test_a_queue_is_known_once_it_was_used(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace, queue="used")
    await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=task.id))
    # No task of it is counted any more; the scheduler registers it within a second or so.
    async with asyncio.timeout(10):
        while "used" not in await queues(api, namespace):
            await api.http.get("/livez")


async def test_submits_to_a_full_queue_are_refused(api: Api, namespace: str) -> None:
    update = queue_service_pb2.UpdateQueueRequest(namespace=namespace, name="small", max_backlog=3)
    await api.queues.UpdateQueue(update)
    await api.scheduler.parts.admission.refresh()
    await api.submit_many(namespace, 2, queue="small")
    spec = task_pb2.TaskSpec(namespace=namespace, queue="small", type="demo.echo")
    answer = await api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=[spec, spec]))
    assert [result.WhichOneof("outcome") for result in answer.results] == ["task", "error"]
    error = answer.results[1].error
    assert (error.reason, error.retry_after.seconds > 0) == ("BACKLOG_FULL", True)

    refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_FULL")
    assert refusal.retry_after
    assert refusal.metadata == {"namespace": namespace, "queue": "small", "limit": "3"}
    over_rest = await api.http.post("/v1/tasks", json={"namespace": namespace, "queue": "small", "type": "demo.echo"})
    assert (over_rest.status_code, over_rest.json()["reason"]) == (429, "BACKLOG_FULL")
    assert int(over_rest.headers["retry-after"]) >= 1

    waiting = (await api.tasks.ListTasks(_listing(namespace))).tasks
    await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=waiting[0].id))
    await api.scheduler.parts.admission.refresh()
    await api.submit(namespace, queue="small")


async def test_the_cluster_limit_holds_where_a_queue_has_none(api: Api, namespace: str, stage: Stage) -> None:
    admission = Admission(StoredQueues(stage.database), Sessions(stage.database), limit=2)
    spec = TaskSpec("demo.echo", b"null", namespace=namespace)
    assert [admission.refusal(spec) is None for _ in range(3)] == [True, True, False]
    # None of them was stored, as a count finds out.
    await admission.refresh()
    assert [admission.refusal(spec) is None for _ in range(3)] == [True, True, False]


async def test_queues_are_listed_in_pages(api: Api, namespace: str) -> None:
    for number in range(5):
        await api.submit(namespace, queue=f"q{number}")
    request = queue_service_pb2.ListQueuesRequest(namespace=namespace, page_size=2)
    names: list[list[str]] = []
    while not names or request.page_token:
        page = await api.queues.ListQueues(request)
        names.append([queue.name for queue in page.queues])
        request.page_token = page.next_page_token
    assert names == [["q0", "q1"], ["q2", "q3"], ["q4"]]
    parameters = {"namespace": namespace, "page_size": "3"}
    first = (await api.http.get("/v1/queues", params=parameters)).json()
    second = (await api.http.get("/v1/queues", params={**parameters, "page_token": first["next_page_token"]})).json()
    assert [queue["name"] for queue in first["queues"] + second["queues"]] == ["q0", "q1", "q2", "q3", "q4"]
    assert second["next_page_token"] == ""
    for wrong in ({"page_size": "1001"}, {"page_token": "?"}, {"page_token": "AAAA"}):
        answer = await api.http.get("/v1/queues", params={"namespace": namespace, **wrong})
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_ARGUMENT")


async def test_a_lane_too_many_is_refused_and_what_honest_clients_use_is_not(api: Api, namespace: str) -> None:
    admission = api.scheduler.parts.admission
    before, admission._lanes = admission._lanes, LaneRoom(40)
    try:
        await api.submit(namespace)
        specs = [
            task_pb2.TaskSpec(namespace=namespace, type="demo.echo", selector=f"host=h{number}") for number in range(50)
        ]
        answer = await api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=specs))
        reasons = [result.error.reason for result in answer.results]
        assert reasons == [""] * 19 + ["TOO_MANY_LANES"] * 31
        refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=specs[-1])))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_LANES")
        assert refusal.retry_after
        assert refusal.metadata == {"namespace": namespace, "limit": "40"}
        document = {"namespace": namespace, "type": "demo.echo", "selector": "host=new"}
        over_rest = await api.http.post("/v1/tasks", json=document)
        assert (over_rest.status_code, over_rest.json()["reason"]) == (429, "TOO_MANY_LANES")
        await admission.refresh()
        await api.submit(namespace)
        await api.submit(namespace, selector="host=h3")
        assert (await api.http.post("/v1/tasks", json=document)).status_code == 429
    finally:
        admission._lanes = before


async def test_a_lane_that_a_connected_worker_serves_is_taken_although_there_are_many(
    api: Api, namespace: str, stage: Stage
) -> None:
    await stage.hello(namespace)
    await api.submit_many(namespace, 2, selector="host=a")
    queues = StoredQueues(stage.database)
    room = LaneRoom(max(2, len(await queues.waiting(1000))))
    admission = Admission(queues, Sessions(stage.database), lane_room=room)
    await admission.refresh()
    spec = TaskSpec("demo.echo", b"null", namespace=namespace)
    assert admission.refusal(replace(spec, selector="host=a")) is None
    assert admission.refusal(replace(spec, selector="io=hdd")) is not None
    assert admission.refusal(replace(spec, selector="io=ssd")) is None


async def test_what_is_remembered_of_queues_is_bounded_while_postgres_is_away() -> None:
    nobody = await Database.open("postgresql://nobody@127.0.0.1:1/none")
    admission = Admission(StoredQueues(nobody), Sessions(nobody))
    for number in range(30_000):
        admission.refusal(TaskSpec("demo.echo", b"null", queue=f"q{number}"))
    assert len(admission._rooms) <= 10_000
    assert len(admission._new) <= 10_000
    await nobody.close()


def _listing(namespace: str) -> task_service_pb2.ListTasksRequest:
    return task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(namespace=namespace))
