"""Workers, dispatchers and the leader."""

import json
import uuid
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from taskyard_core.domain.session_names import public_name
from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.sessions import Sessions
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.wire.gen import cluster_service_pb2
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.integration.api.conftest import Api
from tests.integration.api.stage import Stage


async def others(stage: Stage, namespace: str, names: Sequence[str], types: Sequence[str] = ("demo.echo",)) -> None:
    """Connect workers of these names beside the stage's."""
    for name in names:
        record = SessionRecord(
            id=str(uuid.uuid4()), namespace=namespace, worker=name, dispatcher="d", types=types, slots=1
        )
        await Sessions(stage.database).adopt(record)


async def test_workers_are_listed_with_what_they_run(api: Api, namespace: str, stage: Stage) -> None:
    await stage.run(await api.submit_many(namespace, 2))
    answer = await api.cluster.ListWorkers(cluster_service_pb2.ListWorkersRequest(namespace=namespace))
    (worker,) = answer.workers
    assert (worker.session_id, worker.name, worker.slots, worker.running) == (
        public_name(stage.session),
        "worker-1",
        4,
        2,
    )
    assert dict(worker.labels) == {"io": "ssd"}
    (over_rest,) = (await api.http.get("/v1/workers", params={"namespace": namespace})).json()["workers"]
    assert (over_rest["name"], over_rest["running"], over_rest["labels"]) == ("worker-1", 2, {"io": "ssd"})
    assert (await api.http.get("/v1/workers")).json()["workers"]


async def test_workers_are_listed_in_pages(api: Api, namespace: str, stage: Stage) -> None:
    await others(stage, namespace, [f"w{number}" for number in range(4)])
    request = cluster_service_pb2.ListWorkersRequest(namespace=namespace, page_size=2)
    names: list[list[str]] = []
    while not names or request.page_token:
        page = await api.cluster.ListWorkers(request)
        names.append([worker.name for worker in page.workers])
        request.page_token = page.next_page_token
    assert names == [["w0", "w1"], ["w2", "w3"], ["worker-1"]]
    parameters = {"namespace": namespace, "page_size": "3"}
    first = (await api.http.get("/v1/workers", params=parameters)).json()
    second = (await api.http.get("/v1/workers", params={**parameters, "page_token": first["next_page_token"]})).json()
    assert [worker["name"] for worker in first["workers"] + second["workers"]] == ["w0", "w1", "w2", "w3", "worker-1"]
    assert second["next_page_token"] == ""
    elsewhere = {"namespace": "elsewhere", "page_token": first["next_page_token"]}
    for wrong in ({"page_size": "1001"}, {"page_size": "-1"}, {"page_token": "?"}, {"page_token": "AAAA"}, elsewhere):
        answer = await api.http.get("/v1/workers", params={"namespace": namespace, **wrong})
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_ARGUMENT")


_MANY = """INSERT INTO taskyard.session
    (id, live, namespace, worker, pod, node, dispatcher, labels, types, queues, slots, sdk, version, pid)
    SELECT gen_random_uuid(), true, 'n' || i % 7, 'w' || i % 100, '', '', 'd', '{}', '{}', '{}', 1, '', '', 1
    FROM generate_series(1, 4000) i"""


async def test_a_page_of_workers_reads_no_more_sessions_than_it_shows(stage: Stage) -> None:
    async with stage.database.connection() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            await connection.execute(_MANY)
            await connection.execute("ANALYZE taskyard.session")
            await connection.execute(load("plan_for_values"))
            for place, namespace in product([(None, None, None), ("n3", "w5", "ab")], [None, "n3"]):
                query = "EXPLAIN (ANALYZE, FORMAT JSON) " + load("live_workers")
                rows = await connection.fetch(query, namespace, *place, 10, 10**6)
                read = [node["Actual Rows"] for node in nodes(json.loads(rows[0][0])[0]["Plan"]) if is_scan(node)]
                assert read
                assert max(read) <= 11
        finally:
            await undone.rollback()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def is_scan(plan: dict[str, Any]) -> bool:
    return plan.get("Relation Name") == "session" or plan.get("Index Name", "").startswith("session")


async def test_workers_whose_hellos_are_large_come_in_answers_that_clients_take(
    api: Api, namespace: str, stage: Stage
) -> None:
    """All of them at once would be 5 MB; gRPC's clients take 4 MiB."""
    types = [f"{'t' * 120}{number}" for number in range(1000)]
    await others(stage, namespace, [f"w{number}" for number in range(40)], types=types)
    request = cluster_service_pb2.ListWorkersRequest(namespace=namespace)
    found = pages = 0
    while not pages or request.page_token:
        page = await api.cluster.ListWorkers(request)
        assert page.ByteSize() < 2 * 1024 * 1024
        found, pages, request.page_token = found + len(page.workers), pages + 1, page.next_page_token
    assert (found, pages) == (41, 3)
    assert len((await api.http.get("/v1/workers", params={"namespace": namespace})).content) <= 2 * 1024 * 1024 + 100


async def test_the_cluster_names_its_leader_and_dispatchers(api: Api, etcd_server: EtcdServer) -> None:
    assert (await api.http.get("/v1/cluster")).json()["leader"] is None
    async with Etcd(EtcdSettings(endpoints=(etcd_server.url,))) as etcd:
        for number in (1, 2):
            record = {
                "dispatcher_id": f"d{number}",
                "pid": number,
                "pod": f"pod-{number}",
                "session_address": "127.0.0.1:7071",
                "http_address": "127.0.0.1:8081",
                "version": "0.1.0",
                "started_at": "2026-01-31T12:00:00+00:00",
            }
            candidate = {"dispatcher_id": f"d{number}", "pid": number, "pod": f"pod-{number}", "address": "a"}
            await etcd.kv.put(etcd.keys.dispatcher(f"d{number}"), json.dumps(record).encode())
            await etcd.kv.put(etcd.keys.candidate(9 - number), json.dumps(candidate).encode())
        term = (await etcd.kv.get(etcd.keys.candidate(8))).create_revision  # type: ignore[union-attr]

        cluster = (await api.http.get("/v1/cluster")).json()
        assert cluster["leader"] == {"id": "d1", "term": term, "pid": 1, "pod": "pod-1"}
        assert [(found["id"], found["leader"]) for found in cluster["dispatchers"]] == [("d1", True), ("d2", False)]
        assert cluster["dispatchers"][0]["started_at"] == "2026-01-31T12:00:00Z"
        over_grpc = await api.cluster.GetCluster(cluster_service_pb2.GetClusterRequest())
        assert (over_grpc.leader.id, over_grpc.leader.term) == ("d1", term)
        assert [found.pod for found in over_grpc.dispatchers] == ["pod-1", "pod-2"]
        for number in (1, 2):
            await etcd.kv.delete(etcd.keys.dispatcher(f"d{number}"))
            await etcd.kv.delete(etcd.keys.candidate(9 - number))
