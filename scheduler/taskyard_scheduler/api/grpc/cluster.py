"""ClusterService."""

from __future__ import annotations

from typing import Any

import grpc
from typing_extensions import override

from taskyard_core.storage.etcd.records import Candidate, DispatcherRecord
from taskyard_core.storage.workers import Worker
from taskyard_core.wire import convert, times
from taskyard_core.wire.gen import cluster_service_pb2, cluster_service_pb2_grpc
from taskyard_scheduler.api.cluster import Cluster

Context = grpc.aio.ServicerContext[Any, Any]


class ClusterService(cluster_service_pb2_grpc.ClusterServiceServicer):
    """Reads requests, asks the API, writes answers."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @override
    async def GetCluster(
        self, request: cluster_service_pb2.GetClusterRequest, context: object
    ) -> cluster_service_pb2.Cluster:
        view = await self._cluster.get()
        return cluster_service_pb2.Cluster(
            version=view.version,
            leader=None if view.leader is None else _leader(view.leader),
            dispatchers=[_dispatcher(found, leads=view.leads(found)) for found in view.dispatchers],
        )

    @override
    async def ListWorkers(
        self, request: cluster_service_pb2.ListWorkersRequest, context: Context
    ) -> cluster_service_pb2.ListWorkersResponse:
        page = await self._cluster.workers(request.namespace, request.page_size, request.page_token, context.peer())
        return cluster_service_pb2.ListWorkersResponse(
            workers=[_worker(worker) for worker in page.items], next_page_token=page.next_page_token
        )


def _leader(value: Candidate) -> cluster_service_pb2.Leader:
    return cluster_service_pb2.Leader(id=value.dispatcher_id, term=value.term, pid=value.pid, pod=value.pod)


def _dispatcher(value: DispatcherRecord, *, leads: bool) -> cluster_service_pb2.Dispatcher:
    said = convert.plain(value)
    said |= {"id": said.pop("dispatcher_id"), "leader": leads, "started_at": times.timestamp(value.started_at)}
    return cluster_service_pb2.Dispatcher(**said)


def _worker(value: Worker) -> cluster_service_pb2.Worker:
    return cluster_service_pb2.Worker(**convert.plain(value) | {"connected_at": times.timestamp(value.connected_at)})
