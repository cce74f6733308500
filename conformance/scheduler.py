"""A scheduler that keeps tasks in a dict, over real gRPC; a case makes it refuse, lose answers and hold calls.

SDKs are free in which calls they make. Cases speak of what is meant: `submit` is SubmitTask or SubmitTasks, `watch` is
WatchTasks or WaitTask; every other call goes by its own name.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_status import rpc_status

from conformance.documents import build, document
from conformance.door import Door
from taskyard_core.wire.gen import cluster_service_pb2, queue_service_pb2, task_pb2, task_service_pb2

MEANT = {"SubmitTask": "submit", "SubmitTasks": "submit", "WatchTasks": "watch", "WaitTask": "watch"}
_SERVICES = (
    task_service_pb2.DESCRIPTOR.services_by_name["TaskService"],
    queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"],
    cluster_service_pb2.DESCRIPTOR.services_by_name["ClusterService"],
)
_MODULES = (task_pb2, task_service_pb2, queue_service_pb2, cluster_service_pb2)
_TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})
_CODES = {
    "INVALID_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "PAYLOAD_TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "IDEMPOTENCY_CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
    "FAILED_PRECONDITION": grpc.StatusCode.FAILED_PRECONDITION,
    "BACKLOG_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_LANES": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_REQUESTS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
}
"""What status goes with a reason, as docs/api.md has it."""

METHODS = frozenset(MEANT.get(m.name, m.name) for service in _SERVICES for m in service.methods)


def message_class(name: str) -> type[Message]:
    """The class of a message of the API."""
    for module in _MODULES:
        if found := getattr(module, name, None):
            return found  # type: ignore[no-any-return]
    raise ValueError(f"no message {name}")


@dataclass(slots=True)
class Turn:
    """What happens to the next calls of a kind instead of the usual."""

    refuse: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    lose: bool = False
    """Carry it out, then break the connection instead of answering."""
    hold: bool = False
    """Answer only when the case says `let_go`."""
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Tasks of a submit that are refused, by their place."""


@dataclass(slots=True)
class Call:
    """A call that came."""

    kind: str
    rpc: str
    request: dict[str, Any]
    metadata: dict[str, str]
    at: float
    ended: str = ""
    """`answered`, `refused`, `lost` or `abandoned` by its client."""
    used: bool = False


class Scheduler:
    """One scheduler of a case; those of a case share their tasks, as replicas do."""

    def __init__(self, name: str, tasks: dict[str, task_pb2.Task], credentials: grpc.ServerCredentials | None) -> None:
        self.name = name
        self.tasks = tasks
        self.door = Door()
        self.calls: list[Call] = []
        self.specs: list[tuple[dict[str, Any], list[bool]]] = []
        """Every TaskSpec that came, and whether the case has met it."""
        self.turns: dict[str, deque[Turn]] = {}
        self.changed = asyncio.Condition()
        self.streams = 0
        """`watch` calls that are open."""
        self._held = asyncio.Event()
        self._credentials = credentials
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, behind the door."""
        server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", 5 * 1024 * 1024), ("grpc.so_reuseport", 0)]
        )
        for service in _SERVICES:
            handlers = {method.name: self._handler(method) for method in service.methods}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        health = HealthServicer()
        for name in ("", "liveness"):
            await health.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        if self._credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", self._credentials)
        await server.start()
        self._server = server
        await self.door.listen(port)

    async def stop(self) -> None:
        """End everything."""
        await self.door.close()
        if self._server is not None:
            await self._server.stop(None)

    def plan(self, kind: str, turn: Turn, times: int) -> None:
        """What the next calls of this kind meet."""
        self.turns.setdefault(kind, deque()).extend([turn] * times)

    def let_go(self) -> None:
        """Answer what is held."""
        self._held.set()
        self._held = asyncio.Event()

    def put(self, id: str, content: dict[str, Any]) -> None:
        """Create or change a task; whoever waits for it is told by `tell`."""
        task = self.tasks.setdefault(
            id, task_pb2.Task(id=id, namespace="default", queue="default", type="kit", priority=5)
        )
        build(task, content)

    async def tell(self) -> None:
        """Wake who waits for a task or a call."""
        async with self.changed:
            self.changed.notify_all()

    # gRPC

    def _handler(self, method: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        request, response = message_class(method.input_type.name), message_class(method.output_type.name)
        name = method.name

        async def unary(raw: Message, context: Any) -> Message:
            call, turn = await self._came(name, raw, context)
            try:
                answer = response()
                self._carry_out(name, raw, answer, turn)
                await self._meet(call, turn, context)
                if turn.answer is not None:
                    answer = build(response(), turn.answer)
                elif name == "WaitTask":
                    await self._over(raw.id)  # type: ignore[attr-defined]
                    answer = self.tasks[raw.id]  # type: ignore[attr-defined]
                elif name in ("GetTask", "CancelTask", "RedriveTask"):
                    answer = await self._task(name, raw.id, context)  # type: ignore[attr-defined]
            except asyncio.CancelledError:
                await self._ended(call, "abandoned")
                raise
            await self._ended(call, "answered")
            return answer

        async def watch(raw: Message, context: Any) -> AsyncIterator[Message]:
            call, turn = await self._came(name, raw, context)
            self.streams += 1
            try:
                await self._meet(call, turn, context)
                async for answer in self._watch(list(raw.ids)):  # type: ignore[attr-defined]
                    yield answer
                await self._ended(call, "answered")
            finally:
                self.streams -= 1
                await self._ended(call, "abandoned")

        if name == "WatchTasks":
            return grpc.unary_stream_rpc_method_handler(watch, request.FromString, response.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(unary, request.FromString, response.SerializeToString)

    async def _came(self, rpc: str, request: Message, context: Any) -> tuple[Call, Turn]:
        kind = MEANT.get(rpc, rpc)
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        call = Call(kind, rpc, document(request), metadata, asyncio.get_running_loop().time())
        planned = self.turns.get(kind)
        self.calls.append(call)
        if kind == "submit":
            specs = request.tasks if rpc == "SubmitTasks" else [request.task]  # type: ignore[attr-defined]
            self.specs.extend((document(spec), [False]) for spec in specs)
        await self.tell()
        return call, planned.popleft() if planned else Turn()

    async def _ended(self, call: Call, how: str) -> None:
        call.ended = call.ended or how
        # Shielded: the case shall hear of a call that was abandoned.
        await asyncio.shield(asyncio.ensure_future(self.tell()))

    async def _meet(self, call: Call, turn: Turn, context: Any) -> None:
        if turn.hold:
            await self._held.wait()
        if turn.lose:
            call.ended = "lost"
            self.door.cut()
            await asyncio.Event().wait()  # until gRPC notices that the connection is gone
        if turn.refuse is not None and not (call.rpc == "SubmitTasks" and "code" not in turn.refuse):
            call.ended = "refused"
            await _abort(context, turn.refuse)

    def _carry_out(self, rpc: str, request: Any, answer: Any, turn: Turn) -> None:
        if rpc == "SubmitTask" and turn.refuse is None:
            task, known = self._accept(request.task)
            answer.task.CopyFrom(task)
            answer.deduplicated = known
        elif rpc == "SubmitTasks":
            for place, spec in enumerate(request.tasks):
                self._submit_one(answer.results.add(), place, spec, turn, request.ids_only)

    def _submit_one(self, result: Any, place: int, spec: task_pb2.TaskSpec, turn: Turn, ids_only: bool) -> None:
        refusal = turn.items.get(place, turn.refuse)
        if refusal is not None:
            result.error.reason = refusal.get("reason", "")
            result.error.message = refusal.get("message", "refused")
            result.error.task_id = refusal.get("task_id", "")
            if "field" in refusal:
                result.error.field = f"tasks[{place}].{refusal['field']}"
                result.error.message = f"{result.error.field}: {result.error.message}"
            if "retry_after" in refusal:
                result.error.retry_after.FromJsonString(refusal["retry_after"])
            return
        task, result.deduplicated = self._accept(spec)
        result.task.CopyFrom(task_pb2.Task(id=task.id, state=task.state) if ids_only else task)

    def _accept(self, spec: task_pb2.TaskSpec) -> tuple[task_pb2.Task, bool]:
        for task in self.tasks.values():
            if spec.idempotency_key and task.idempotency_key == spec.idempotency_key:
                return task, True
        task = task_pb2.Task(id=task_id(len(self.tasks) + 1), state=task_pb2.TASK_STATE_QUEUED)
        for name in ("type", "payload", "selector", "idempotency_key", "traceparent"):
            setattr(task, name, getattr(spec, name))
        task.namespace, task.queue = spec.namespace or "default", spec.queue or "default"
        task.priority = spec.priority if spec.HasField("priority") else 5
        self.tasks[task.id] = task
        return task, False

    async def _task(self, rpc: str, id: str, context: Any) -> task_pb2.Task:
        if id not in self.tasks:
            await _abort(context, {"reason": "NOT_FOUND", "message": f"no task {id}"})
        task = self.tasks[id]
        if rpc == "CancelTask":
            task.state = task_pb2.TASK_STATE_CANCELLED
        elif rpc == "RedriveTask":
            task.state = task_pb2.TASK_STATE_QUEUED
        return task

    def _is_over(self, id: str) -> bool:
        return id not in self.tasks or _state(self.tasks[id]) in _TERMINAL

    async def _over(self, id: str) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self._is_over(id))

    async def _first_over(self, waiting: set[str]) -> set[str]:
        def over() -> set[str]:
            return {id for id in waiting if self._is_over(id)}

        async with self.changed:
            return await self.changed.wait_for(over)

    async def _watch(self, ids: list[str]) -> AsyncIterator[Message]:
        known = [id for id in ids if id in self.tasks]
        unknown = [id for id in ids if id not in self.tasks]
        yield task_service_pb2.WatchTasksResponse(tasks=[self.tasks[id] for id in known], unknown_ids=unknown)
        waiting = {id for id in known if not self._is_over(id)}
        while waiting:
            over = await self._first_over(waiting)
            waiting -= over
            yield task_service_pb2.WatchTasksResponse(tasks=[self.tasks[id] for id in over])


def task_id(number: int) -> str:
    """The id of the n-th task that a case submits; cases write `$task1`."""
    return f"0190a1b2-0000-7000-8000-{number:012d}"


def _state(task: task_pb2.Task) -> str:
    return task_pb2.TaskState.Name(task.state).removeprefix("TASK_STATE_")


async def _abort(context: Any, refusal: dict[str, Any]) -> None:
    reason = refusal.get("reason", "")
    code = grpc.StatusCode[refusal["code"]] if "code" in refusal else _CODES[reason]
    status = Status(code=code.value[0], message=refusal.get("message", "refused"))
    details: list[Message] = []
    if reason:
        metadata = {"task_id": refusal["task_id"]} if "task_id" in refusal else {}
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="taskyard", metadata=metadata))
    if "field" in refusal:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=f"task.{refusal['field']}", description=refusal.get("message", "refused")
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if "retry_after" in refusal:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromJsonString(refusal["retry_after"])
        details.append(retry)
    for detail in details:
        status.details.add().Pack(detail)
    rich = rpc_status.to_status(status)
    if details:
        context.set_trailing_metadata(tuple(rich.trailing_metadata))
    await context.abort(rich.code, rich.details)
