"""Cancelling, redriving and purging tasks."""

import asyncio

import grpc
import pytest

from taskyard_core.storage.hints import CancelRequested, Reconnected, TasksFinished
from taskyard_core.storage.lanes import Quota
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.hint_stream import HintStream
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.wire.gen import task_pb2, task_service_pb2
from taskyard_server.dev.valkey import Valkey
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage

CANCELLED, FAILED = task_pb2.TASK_STATE_CANCELLED, task_pb2.TASK_STATE_FAILED


def cancel(task_id: str) -> task_service_pb2.CancelTaskRequest:
    return task_service_pb2.CancelTaskRequest(id=task_id)


def redrive(task_id: str) -> task_service_pb2.RedriveTaskRequest:
    return task_service_pb2.RedriveTaskRequest(id=task_id)


async def failed_tasks(api: Api, namespace: str, stage: Stage, count: int, error_type: str = "KeyError") -> list[str]:
    ids = await api.submit_many(namespace, count, queue="dead")
    await stage.run(ids)
    for task_id in ids:
        await stage.fail(task_id, error_type)
    return ids


async def test_a_waiting_task_is_cancelled_at_once(api: Api, namespace: str) -> None:
    task = await api.submit(namespace)
    answer = await api.tasks.CancelTask(cancel(task.id))
    assert (answer.state, answer.HasField("finished_at")) == (CANCELLED, True)
    document = {"namespace": namespace, "type": "demo.echo", "delay": "60s"}
    scheduled = (await api.http.post("/v1/tasks", json=document)).json()
    over_rest = await api.http.post(f"/v1/tasks/{scheduled['id']}:cancel")
    assert (over_rest.status_code, over_rest.json()["state"]) == (200, "CANCELLED")


async def test_cancelling_again_changes_nothing(api: Api, namespace: str) -> None:
    task = await api.submit(namespace)
    first = await api.tasks.CancelTask(cancel(task.id))
    assert await api.tasks.CancelTask(cancel(task.id)) == first


async def test_a_running_task_is_asked_to_stop(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    await stage.run([task.id])
    answer = await api.tasks.CancelTask(cancel(task.id))
    assert (answer.state, answer.cancel_requested) == (task_pb2.TASK_STATE_RUNNING, True)
    assert (await api.http.post(f"/v1/tasks/{task.id}:cancel")).json()["cancel_requested"] is True


async def test_cancels_are_hinted(api: Api, namespace: str, stage: Stage, valkey_server: Valkey) -> None:
    waiting, running = await api.submit(namespace), await api.submit(namespace)
    await stage.run([running.id])
    redis = connect(f"{valkey_server.url}/9")
    async with HintStream(redis, Keys(), TasksFinished, CancelRequested) as stream:
        assert await anext(stream) == Reconnected()
        await api.tasks.CancelTask(cancel(waiting.id))
        await api.tasks.CancelTask(cancel(running.id))
        assert await anext(stream) == TasksFinished.of([waiting.id])
        assert await anext(stream) == CancelRequested((running.id,))
    await redis.aclose()


async def test_an_ended_task_cannot_be_cancelled(api: Api, namespace: str, stage: Stage) -> None:
    task = await api.submit(namespace)
    await stage.run([task.id])
    await stage.succeed(task.id)
    refusal = await refused(api.tasks.CancelTask(cancel(task.id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FAILED_PRECONDITION")
    assert refusal.metadata["state"] == "SUCCEEDED"
    answer = await api.http.post(f"/v1/tasks/{task.id}:cancel")
    assert (answer.status_code, answer.json()["metadata"]["state"]) == (409, "SUCCEEDED")


async def test_a_cancel_that_races_a_claim_tells_what_happened(api: Api, namespace: str, stage: Stage) -> None:
    ids = await api.submit_many(namespace, 40)

    async def claim(task_id: str) -> None:
        try:
            await stage.run([task_id])
        except AssertionError:
            # The cancel was first.
            return

    answers, _ = await asyncio.gather(
        asyncio.gather(*(api.tasks.CancelTask(cancel(task_id)) for task_id in ids)),
        asyncio.gather(*(claim(task_id) for task_id in ids)),
    )
    for answer in answers:
        now = await stage.snapshot(answer.id)
        assert (answer.state == CANCELLED) == (now.state == "CANCELLED")
        assert answer.state == CANCELLED or now.cancel_requested


async def test_a_failed_task_is_redriven_with_fresh_budgets(api: Api, namespace: str, stage: Stage) -> None:
    (task_id,) = await failed_tasks(api, namespace, stage, 1)
    answer = await api.tasks.RedriveTask(redrive(task_id))
    assert (answer.state, answer.attempt, answer.failures) == (task_pb2.TASK_STATE_QUEUED, 1, 0)
    assert not answer.HasField("finished_at")
    refusal = await refused(api.tasks.RedriveTask(redrive(task_id)))
    assert (refusal.reason, refusal.metadata["state"]) == ("FAILED_PRECONDITION", "QUEUED")
    over_rest = await api.http.post(f"/v1/tasks/{task_id}:redrive")
    assert (over_rest.status_code, over_rest.json()["reason"]) == (409, "FAILED_PRECONDITION")


async def test_racing_redrives_queue_a_task_once(api: Api, namespace: str, stage: Stage) -> None:
    (task_id,) = await failed_tasks(api, namespace, stage, 1)
    calls = [api.tasks.RedriveTask(redrive(task_id)) for _ in range(8)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, task_pb2.Task) for answer in answers) == 1


async def test_failed_tasks_are_redriven_by_filter(api: Api, namespace: str, stage: Stage) -> None:
    keys = await failed_tasks(api, namespace, stage, 3, "KeyError")
    others = await failed_tasks(api, namespace, stage, 2, "OSError")
    wanted = task_service_pb2.TaskFilter(namespace=namespace, queue="dead", error_type="KeyError")
    dry = await api.tasks.RedriveTasks(task_service_pb2.RedriveTasksRequest(filter=wanted, dry_run=True))
    assert (dry.count, list(dry.ids)) == (3, keys)
    some = await api.tasks.RedriveTasks(task_service_pb2.RedriveTasksRequest(filter=wanted, limit=2))
    assert (some.count, list(some.ids)) == (2, keys[:2])
    document = {"filter": {"namespace": namespace, "state": "FAILED", "error_type": "KeyError"}}
    assert (await api.http.post("/v1/dlq:redrive", json=document)).json() == {"count": 1, "ids": keys[2:]}
    for task_id in keys:
        assert (await stage.snapshot(task_id)).state == "QUEUED"
    for task_id in others:
        assert (await stage.snapshot(task_id)).state == "FAILED"


async def test_racing_bulk_redrives_take_each_task_once(api: Api, namespace: str, stage: Stage) -> None:
    ids = await failed_tasks(api, namespace, stage, 20)
    request = task_service_pb2.RedriveTasksRequest(filter=task_service_pb2.TaskFilter(namespace=namespace))
    answers = await asyncio.gather(*(api.tasks.RedriveTasks(request) for _ in range(4)))
    assert sorted(task_id for answer in answers for task_id in answer.ids) == sorted(ids)


async def test_failed_tasks_are_purged_with_all_that_is_theirs(api: Api, namespace: str, stage: Stage) -> None:
    keyed = await api.submit(namespace, idempotency_key="k")
    await stage.run([keyed.id])
    await stage.fail(keyed.id)
    kept = await api.submit(namespace)
    document = {"filter": {"namespace": namespace}}
    dry = await api.http.post("/v1/dlq:purge", json=document | {"dry_run": True})
    assert dry.json() == {"count": 1, "ids": [keyed.id]}
    purge = task_service_pb2.PurgeTasksRequest(filter=task_service_pb2.TaskFilter(namespace=namespace))
    assert list((await api.tasks.PurgeTasks(purge)).ids) == [keyed.id]
    assert (await refused(api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=keyed.id)))).reason == "NOT_FOUND"
    assert not await stage.database.fetch("SELECT 1 FROM taskyard.attempt WHERE task_id = $1", keyed.id)
    assert (await api.submit(namespace, idempotency_key="k")).id != keyed.id
    assert (await stage.snapshot(kept.id)).state == "QUEUED"


@pytest.mark.parametrize("verb", ["redrive", "purge"])
async def test_a_bulk_operation_on_nothing_does_nothing(api: Api, namespace: str, verb: str) -> None:
    document = {"filter": {"namespace": namespace}}
    assert (await api.http.post(f"/v1/dlq:{verb}", json=document)).json() == {"count": 0, "ids": []}


async def test_redriven_tasks_reach_their_lane(api: Api, namespace: str, stage: Stage) -> None:
    (task_id,) = await failed_tasks(api, namespace, stage, 1)
    await api.tasks.RedriveTask(redrive(task_id))
    lanes, lane = api.scheduler.parts.stores.delivery.lanes, f"{namespace}/dead/demo.echo/5/"
    found: set[tuple[str, int]] = set()
    async with asyncio.timeout(5):
        # Its first entry, of attempt 0, is there as well.
        while (task_id, 1) not in found:
            found |= {(entry.task_id, entry.attempt) for entry in await lanes.take("test", [Quota(lane, 9)], 9)}
