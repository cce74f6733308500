"""QueueService."""

from typing_extensions import override

from taskyard_core.storage.queues import Queue
from taskyard_core.wire import convert, specs, times
from taskyard_core.wire.gen import queue_service_pb2, queue_service_pb2_grpc
from taskyard_scheduler.api import backlogs
from taskyard_scheduler.api.backlogs import Backlogs
from taskyard_scheduler.api.queues import Queues


class QueueService(queue_service_pb2_grpc.QueueServiceServicer):
    """Reads requests, asks the API, writes answers."""

    def __init__(self, queues: Queues, demand: Backlogs) -> None:
        self._queues = queues
        self._backlogs = demand

    @override
    async def ListQueues(
        self, request: queue_service_pb2.ListQueuesRequest, context: object
    ) -> queue_service_pb2.ListQueuesResponse:
        page = await self._queues.page(request.namespace, request.page_size, request.page_token)
        return queue_service_pb2.ListQueuesResponse(
            queues=[_queue(queue) for queue in page.items], next_page_token=page.next_page_token
        )

    @override
    async def UpdateQueue(
        self, request: queue_service_pb2.UpdateQueueRequest, context: object
    ) -> queue_service_pb2.Queue:
        retry = specs.policy(request.retry) if request.HasField("retry") else None
        limit = request.max_backlog if request.HasField("max_backlog") else None
        return _queue(await self._queues.update(request.namespace, request.name, retry, limit))

    @override
    async def GetBacklog(
        self, request: queue_service_pb2.GetBacklogRequest, context: object
    ) -> queue_service_pb2.Backlog:
        pool = backlogs.pool(request.namespace, request.labels, request.queues, request.types)
        found = await self._backlogs.of(pool)
        return queue_service_pb2.Backlog(backlog=found.backlog, running=found.running)


def _queue(value: Queue) -> queue_service_pb2.Queue:
    age = None if value.oldest_age is None else times.duration(value.oldest_age)
    return queue_service_pb2.Queue(**convert.plain(value) | {"oldest_age": age, "retry": convert.retry(value.retry)})
