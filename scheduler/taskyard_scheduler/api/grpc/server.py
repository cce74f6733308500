"""The gRPC server: our services, health and reflection."""

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from taskyard_core.domain import limits
from taskyard_core.runtime.address import Address
from taskyard_core.runtime.clock import Clock
from taskyard_core.telemetry.health import GrpcHealth
from taskyard_core.wire.gen import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    task_service_pb2,
    task_service_pb2_grpc,
)
from taskyard_scheduler.api.grpc.cluster import ClusterService
from taskyard_scheduler.api.grpc.door import MESSAGE_BYTES, Door
from taskyard_scheduler.api.grpc.queues import QueueService
from taskyard_scheduler.api.grpc.refusals import Refusals
from taskyard_scheduler.api.grpc.tasks import TaskService
from taskyard_scheduler.api.services import Services

_PENDING_SECONDS = 600
_LOOKAHEAD_BYTES = 4 * 1024
_HEALTH_SECONDS = 1.0
_LEAVING_SECONDS = 0.5
"""How long clients that watch the health get to go elsewhere: a call that arrives while gRPC stops is broken off, and
nobody can tell its client whether it was carried out."""
_SERVICES = tuple(
    file.services_by_name[name].full_name
    for file, name in (
        (task_service_pb2.DESCRIPTOR, "TaskService"),
        (queue_service_pb2.DESCRIPTOR, "QueueService"),
        (cluster_service_pb2.DESCRIPTOR, "ClusterService"),
    )
)
_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # What is too large for clients is known only to those who make the answer.
    ("grpc.max_send_message_length", -1),
    # A second process on the same port must fail, not take half of the calls.
    ("grpc.so_reuseport", 0),
    # Clients may look every 5 s whether an idle connection is alive.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    # A client that is gone, or that reads nothing at all, is noticed.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # By default gRPC drops calls at random, as CANCELLED and without a word, while a thousand wait to be looked at, and
    # those that waited for 30 s. How long a call may wait is for its client to say.
    ("grpc.server.max_pending_requests", limits.CALLS),
    ("grpc.server.max_pending_requests_hard_limit", limits.CALLS),
    ("grpc.server_max_unrequested_time_in_server", _PENDING_SECONDS),
    ("grpc.max_concurrent_streams", limits.CALLS_EACH),
    ("grpc.max_allowed_incoming_connections", limits.CONNECTIONS),
    ("grpc.server_handshake_timeout_ms", int(limits.HEAD_SECONDS * 1000)),
    # What a client may send before it is asked for, for each call.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
    # A few kilobytes could become gigabytes before anybody counts them.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)


class GrpcServer:
    """Serves until stopped. Make it inside a running event loop."""

    def __init__(self, services: Services, clock: Clock) -> None:
        self._clock = clock
        self._readiness = services.readiness
        self._health = GrpcHealth(_SERVICES)
        self._server = grpc.aio.server(interceptors=[Refusals(Door(services.traffic))], options=_OPTIONS)
        task_service_pb2_grpc.add_TaskServiceServicer_to_server(
            TaskService(services.desk, services.tasks), self._server
        )
        queue_service_pb2_grpc.add_QueueServiceServicer_to_server(
            QueueService(services.queues, services.backlogs), self._server
        )
        cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(ClusterService(services.cluster), self._server)
        names = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, address: str) -> str:
        """Listen on host:port and return it, with the port that a 0 became; raises OSError if it cannot be had."""
        await self._health.register(self._server)
        wanted = Address.parse(address)
        try:
            port = self._server.add_insecure_port(str(wanted))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}") from error
        await self._server.start()
        return str(Address(wanted.host, port))

    async def tell_health(self) -> None:
        """Keep grpc.health.v1 true, until cancelled."""
        while True:
            await self._health.serving(await self._readiness.obstacle() is None)
            await self._clock.sleep(_HEALTH_SECONDS)

    async def stop(self, grace: float) -> None:
        """Say NOT_SERVING, let clients go, take no more calls, and give those under way `grace` seconds."""
        await self._health.drain()
        await self._clock.sleep(_LEAVING_SECONDS)
        await self._server.stop(grace)
