"""Reading tasks: lists, attempts, waits and watches."""

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from taskyard_core.domain.task import TaskError
from taskyard_core.domain.transitions import Failed, Released
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.hints import Hints
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.wire.gen import task_pb2, task_service_pb2
from taskyard_server.dev.valkey import Valkey
from tests.integration.api.conftest import Api, refused, serve, settings
from tests.integration.api.stage import Stage


def listing(namespace: str, **fields: Any) -> task_service_pb2.ListTasksRequest:
    return task_service_pb2.ListTasksRequest(filter=task_service_pb2.TaskFilter(namespace=namespace), **fields)


def wait(task_id: str, seconds: int = 30) -> task_service_pb2.WaitTaskRequest:
    return task_service_pb2.WaitTaskRequest(id=task_id, wait=Duration(seconds=seconds))


async def test_pages_lead_through_all_tasks_newest_first(api: Api, namespace: str) -> None:
    ids = await api.submit_many(namespace, 25)
    seen: list[str] = []
    token = ""
    while True:
        page = await api.tasks.ListTasks(listing(namespace, page_size=10, page_token=token))
        seen += [task.id for task in page.tasks]
        # What comes meanwhile is newer, so it does not move the pages.
        await api.submit(namespace)
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(ids, reverse=True)


async def test_pages_of_both_apis_are_the_same(api: Api, namespace: str) -> None:
    await api.submit_many(namespace, 3)
    first = (await api.http.get("/v1/tasks", params={"namespace": namespace, "page_size": 2})).json()
    assert len(first["tasks"]) == 2
    over_grpc = await api.tasks.ListTasks(listing(namespace, page_size=2, page_token=first["next_page_token"]))
    assert len(over_grpc.tasks) == 1
    assert over_grpc.next_page_token == ""
    exact = await api.http.get("/v1/tasks", params={"namespace": namespace, "page_size": 3})
    assert exact.json()["next_page_token"] == ""


async def test_a_token_is_good_for_its_own_filter_only(api: Api, namespace: str) -> None:
    await api.submit_many(namespace, 3)
    page = await api.tasks.ListTasks(listing(namespace, page_size=1))
    other = listing(f"{namespace}-x", page_token=page.next_page_token)
    assert (await refused(api.tasks.ListTasks(other))).fields == ["page_token"]


async def test_all_given_fields_of_a_filter_must_match(api: Api, namespace: str, stage: Stage) -> None:
    plain = await api.submit(namespace)
    other_queue = await api.submit(namespace, queue="other")
    other_type = await api.submit(namespace, type="demo.fail")
    failed, running = await api.submit(namespace), await api.submit(namespace)
    await stage.run([failed.id, running.id])
    await stage.fail(failed.id, "KeyError")
    for query, expected in (
        ({}, {plain.id, other_queue.id, other_type.id, failed.id, running.id}),
        ({"queue": "other"}, {other_queue.id}),
        ({"type": "demo.fail"}, {other_type.id}),
        ({"state": "FAILED"}, {failed.id}),
        ({"state": "RUNNING"}, {running.id}),
        ({"state": "QUEUED", "queue": "default"}, {plain.id, other_type.id}),
        ({"error_type": "KeyError"}, {failed.id}),
        ({"error_type": "OSError"}, set()),
        ({"queue": "", "state": ""}, {plain.id, other_queue.id, other_type.id, failed.id, running.id}),
    ):
        answer = await api.http.get("/v1/tasks", params={"namespace": namespace, **query})
        assert {task["id"] for task in answer.json()["tasks"]} == expected, query


async def test_a_page_of_large_tasks_is_cut_short(api: Api, namespace: str) -> None:
    payload = b'"' + b"x" * 250_000 + b'"'
    for _ in range(10):
        await api.submit(namespace, payload=payload)
    first = await api.tasks.ListTasks(listing(namespace))
    assert 1 < len(first.tasks) < 10
    rest = await api.tasks.ListTasks(listing(namespace, page_token=first.next_page_token))
    assert len(first.tasks) + len(rest.tasks) == 10


async def test_attempts_are_listed_with_the_running_one(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    request = task_service_pb2.ListAttemptsRequest(task_id=task.id)
    assert not (await api.tasks.ListAttempts(request)).attempts
    await stage.run([task.id])
    (running,) = (await api.tasks.ListAttempts(request)).attempts
    assert (running.attempt, running.worker, running.outcome) == (1, "worker-1", 0)
    assert not running.HasField("finished_at")
    await stage.fail(task.id)
    (failed,) = (await api.http.get(f"/v1/tasks/{task.id}/attempts")).json()["attempts"]
    assert (failed["outcome"], failed["pod"], failed["dispatcher"]) == ("FAILED", "pod-1", "dispatcher-1")
    assert failed["error"] == {"type": "ValueError", "message": "no", "stack": "trace", "retryable": False}


async def runs(stage: Stage, task: str, count: int, error: TaskError | None = None) -> None:
    """Have a task run and handed back, or fail with that error, as often."""
    for _ in range(count):
        await stage.run([task])
        await stage.end(task, Failed(error) if error else Released())
        await stage.database.fetch("UPDATE taskyard.task SET state = 'QUEUED', failures = 0 WHERE id = $1", task)


async def test_attempts_come_in_pages_of_both_apis(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    await runs(stage, task.id, 52)
    await stage.run([task.id])
    old = await api.tasks.ListAttempts(task_service_pb2.ListAttemptsRequest(task_id=task.id))
    assert [run.attempt for run in old.attempts] == list(range(1, 51)), "without a size as many as a list of tasks has"
    rest = await api.http.get(f"/v1/tasks/{task.id}/attempts", params={"page_token": old.next_page_token})
    assert [run["attempt"] for run in rest.json()["attempts"]] == [51, 52, 53]
    assert rest.json()["next_page_token"] == ""
    exact = await api.http.get(f"/v1/tasks/{task.id}/attempts", params={"page_size": 53})
    assert (len(exact.json()["attempts"]), exact.json()["next_page_token"]) == (53, "")


async def test_a_page_of_attempts_with_large_errors_is_cut_short(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    await runs(stage, task.id, 60, TaskError("E", "\u20ac" * 4096, "\u20ac" * 16 * 1024))
    seen: list[int] = []
    token = ""
    while True:
        request = task_service_pb2.ListAttemptsRequest(task_id=task.id, page_size=1000, page_token=token)
        page = await api.tasks.ListAttempts(request)
        assert page.ByteSize() < 3 * 1024 * 1024
        seen += [run.attempt for run in page.attempts]
        token = page.next_page_token
        if not token:
            break
    assert seen == list(range(1, 61))


async def test_tokens_and_sizes_of_attempts_are_checked(api: Api, namespace: str, stage: Stage) -> None:
    one, other = await api.submit(namespace), await api.submit(namespace)
    await runs(stage, one.id, 2)
    page = await api.tasks.ListAttempts(task_service_pb2.ListAttemptsRequest(task_id=one.id, page_size=1))
    tasks = await api.tasks.ListTasks(listing(namespace, page_size=1))
    for request, field in (
        ({"task_id": other.id, "page_token": page.next_page_token}, "page_token"),
        ({"task_id": one.id, "page_token": tasks.next_page_token}, "page_token"),
        ({"task_id": one.id, "page_token": "abc"}, "page_token"),
        ({"task_id": one.id, "page_size": 1001}, "page_size"),
        ({"task_id": one.id, "page_size": -1}, "page_size"),
    ):
        asked = task_service_pb2.ListAttemptsRequest(**request)
        assert (await refused(api.tasks.ListAttempts(asked))).fields == [field]
    answer = await api.http.get(f"/v1/tasks/{one.id}/attempts?page=2")
    assert answer.status_code == 400


async def test_an_ended_task_tells_all_about_its_end(api: Api, namespace: str, stage: Stage) -> None:
    good, bad = await api.submit(namespace), await api.submit(namespace)
    await stage.run([good.id, bad.id])
    await stage.succeed(good.id, b'{"sum": 12345678901234567890123}')
    await stage.fail(bad.id)
    succeeded = await api.http.get(f"/v1/tasks/{good.id}")
    assert b'"result":{"sum": 12345678901234567890123}' in succeeded.content
    assert succeeded.json()["worker"] == "worker-1"
    failed = await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=bad.id))
    assert (failed.state, failed.failures, failed.error.type) == (task_pb2.TASK_STATE_FAILED, 1, "ValueError")
    assert failed.finished_at.seconds >= failed.started_at.seconds > 0


async def test_a_wait_for_an_ended_task_answers_at_once(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    await stage.run([task.id])
    await stage.succeed(task.id, b"7")
    assert (await api.tasks.WaitTask(wait(task.id))).result == b"7"
    assert (await api.http.get(f"/v1/tasks/{task.id}?wait=30s")).json()["result"] == 7


async def test_a_wait_answers_when_its_time_is_up(api: Api, namespace: str) -> None:
    task = await api.submit(namespace)
    assert (await api.tasks.WaitTask(wait(task.id, 0))).state == task_pb2.TASK_STATE_QUEUED
    assert (await api.http.get(f"/v1/tasks/{task.id}?wait=0.05s")).json()["state"] == "QUEUED"


async def test_waits_end_when_the_task_does(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    await stage.run([task.id])
    over_grpc = asyncio.ensure_future(api.tasks.WaitTask(wait(task.id)))
    over_rest = asyncio.create_task(api.http.get(f"/v1/tasks/{task.id}?wait=30s"))
    # Nobody gives a hint: it is the look at Postgres each second that finds it.
    await stage.succeed(task.id, b"7")
    assert (await over_grpc).result == b"7"
    assert (await over_rest).json()["state"] == "SUCCEEDED"


async def test_hints_end_a_wait_without_a_look_at_all_tasks(
    api: Api, namespace: str, stage: Stage, valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskyard_scheduler.api.waits._PERIOD_SECONDS", 3600.0)
    redis_url = f"{valkey_server.url}/9"
    redis = connect(redis_url)
    hints = Hints(redis, Keys("hinted"))
    task = await api.submit(namespace)
    await stage.run([task.id])
    configured = settings(api.postgres_url, redis_url, "127.0.0.1:1").model_copy(update={"redis_prefix": "hinted"})
    async for hinted in serve(configured):
        waiting = asyncio.ensure_future(hinted.tasks.WaitTask(wait(task.id)))
        # A hint about a task that goes on is nothing to anybody.
        await hints.tasks_finished([task.id])
        await stage.succeed(task.id, b"7")
        while not waiting.done():
            # The scheduler may not have subscribed, or not have begun to wait, when the first ones come.
            await hints.tasks_finished([task.id])
            await asyncio.wait({waiting}, timeout=0.05)
        assert (await waiting).result == b"7"
    await redis.aclose()


async def test_a_wait_for_a_task_that_is_purged_ends(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    waiting = asyncio.ensure_future(api.tasks.WaitTask(wait(task.id)))
    await stage.database.fetch("DELETE FROM taskyard.task WHERE id = $1", task.id)
    assert (await refused(waiting)).reason == "NOT_FOUND"


async def test_a_cancel_wakes_who_waits(api: Api, namespace: str) -> None:
    task = await api.submit(namespace)
    waiting = asyncio.ensure_future(api.tasks.WaitTask(wait(task.id)))
    await api.tasks.CancelTask(task_service_pb2.CancelTaskRequest(id=task.id))
    assert (await waiting).state == task_pb2.TASK_STATE_CANCELLED


async def test_a_watch_tells_each_task_now_and_at_its_end(api: Api, namespace: str, stage: Stage) -> None:
    ids = await api.submit_many(namespace, 150)
    unknown = "0199f3c2-5f1e-7cc0-8d5a-3f6a1c2b4d5e"
    await stage.run(ids)
    await stage.succeed(ids[0])
    stream = aiter(api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=[*ids, unknown, ids[0].upper()])))
    now: dict[str, int] = {}
    missing: list[str] = []
    while len(now) + len(missing) < 151:
        answer = await anext(stream)
        now |= {task.id: task.state for task in answer.tasks}
        missing += answer.unknown_ids
    assert missing == [unknown]
    assert set(now) == set(ids)
    assert now[ids[0]] == task_pb2.TASK_STATE_SUCCEEDED
    for task_id in ids[1:]:
        await stage.succeed(task_id)
    ended = [task async for answer in stream for task in answer.tasks]
    assert sorted(task.id for task in ended) == sorted(ids[1:])
    assert {task.state for task in ended} == {task_pb2.TASK_STATE_SUCCEEDED}


async def test_a_watch_of_ended_tasks_ends(api: Api, namespace: str, stage: Stage) -> None:
    ids = await api.submit_many(namespace, 2)
    await stage.run(ids)
    for task_id in ids:
        await stage.succeed(task_id)
    answers = [answer async for answer in api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids))]
    assert [len(answer.tasks) for answer in answers] == [2]


async def test_large_tasks_are_watched_in_several_messages(api: Api, namespace: str) -> None:
    payload = b'"' + b"x" * 250_000 + b'"'
    ids = [(await api.submit(namespace, payload=payload)).id for _ in range(12)]
    stream = api.tasks.WatchTasks(task_service_pb2.WatchTasksRequest(ids=ids))
    sizes: list[int] = []
    while sum(sizes) < 12:
        answer = await stream.read()
        assert isinstance(answer, task_service_pb2.WatchTasksResponse)
        assert answer.ByteSize() < 4 * 1024 * 1024
        sizes.append(len(answer.tasks))
    assert len(sizes) > 1
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream.read()
