"""Workers, dispatchers and the leader."""

import json

from taskyard_core.domain.session_names import public_name
from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.wire.gen import cluster_service_pb2
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.integration.api.conftest import Api
from tests.integration.api.stage import Stage


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
