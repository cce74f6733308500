"""A worker: handlers for task types, served over one session.

worker = Worker(labels={"io": "ssd"})

@worker.task("email.send")
async def send(ctx: Context, payload: dict) -> None: ...

worker.run()
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from secrets import token_bytes
from typing import Any, Protocol, TypeVar, overload
from uuid import uuid4

from taskyard._gen import worker_service_pb2 as wire
from taskyard.definition import TaskDefinition
from taskyard.worker import settings as worker_settings
from taskyard.worker.attempt import Attempt
from taskyard.worker.context import Context
from taskyard.worker.event_loop import run_through
from taskyard.worker.handler import Handler, check_type, make_handler
from taskyard.worker.journal import logger
from taskyard.worker.log import show_log
from taskyard.worker.service import Service
from taskyard.worker.settings import Settings
from taskyard.worker.signals import serving, stop_on_signals

MAX_TYPES = 1000

Function = TypeVar("Function", bound=Callable[..., Any])
In = TypeVar("In")
Out = TypeVar("Out")


class Registration(Protocol[In, Out]):
    """A decorator for functions whose types fit a definition."""

    @overload
    def __call__(
        self, function: Callable[[Context, In], Coroutine[Any, Any, Out]], /
    ) -> Callable[[Context, In], Coroutine[Any, Any, Out]]: ...
    @overload
    def __call__(
        self, function: Callable[[In], Coroutine[Any, Any, Out]], /
    ) -> Callable[[In], Coroutine[Any, Any, Out]]: ...
    @overload
    def __call__(self, function: Callable[[Context, In], Out], /) -> Callable[[Context, In], Out]: ...
    @overload
    def __call__(self, function: Callable[[In], Out], /) -> Callable[[In], Out]: ...


class Worker:
    """Runs handlers for task types.

    What is not given here comes from the environment when the worker starts (TASKYARD_DISPATCHERS, TASKYARD_NAMESPACE,
    TASKYARD_WORKER_NAME, TASKYARD_WORKER_LABELS, TASKYARD_WORKER_SLOTS, TASKYARD_WORKER_GRACE,
    TASKYARD_WORKER_HTTP_ADDRESS). Flags of `taskyard worker run` win over both.

    - `dispatchers`: "host:port,host:port" or a sequence of addresses; default localhost:7071.
    - `labels`: what tasks select workers by, e.g. {"io": "ssd", "memory_gb": 16}.
    - `slots`: attempts run at once, 1 to 10000; default 100.
    - `processes`: processes for `process=True` handlers; default the machine's cores.
    - `queues`: the queues served, "mail,reports" or a sequence of names; empty means all.
    - `grace`: seconds that running attempts get to finish after SIGTERM, default 25; then they are handed back.
    - `version`: the application's own version, shown to operators.
    - `http_address`: host:port for /livez, /readyz and /metrics; default none.
    """

    def __init__(
        self,
        dispatchers: str | Sequence[str] | None = None,
        *,
        labels: Mapping[str, str | int] | None = None,
        slots: int | None = None,
        processes: int | None = None,
        queues: str | Sequence[str] = (),
        namespace: str | None = None,
        name: str | None = None,
        version: str = "",
        grace: float | None = None,
        http_address: str | None = None,
    ) -> None:
        self._dispatchers = dispatchers
        self._labels = labels
        self._slots = slots
        self._processes = processes
        self._queues = queues
        self._namespace = namespace
        self._name = name
        self._version = version
        self._grace = grace
        self._http_address = http_address
        self._handlers: dict[str, Handler] = {}
        self._service: Service | None = None
        self._stop_asked = False

    def override(
        self,
        *,
        dispatchers: str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        slots: int | None = None,
        grace: float | None = None,
    ) -> None:
        """Replace what the code gave by what the command line says; labels are merged. None leaves a setting."""
        self._dispatchers = self._dispatchers if dispatchers is None else dispatchers
        self._name = self._name if name is None else name
        if labels:
            self._labels = {**(self._labels or {}), **labels}
        self._slots = self._slots if slots is None else slots
        self._grace = self._grace if grace is None else grace

    @property
    def types(self) -> tuple[str, ...]:
        """The task types it has handlers for."""
        return tuple(self._handlers)

    @property
    def connected(self) -> bool:
        """Whether a dispatcher holds its session right now."""
        return self._service is not None and self._service.session.connected

    @property
    def session_id(self) -> str | None:
        """The id of its session while it serves; each `serve` has a new one."""
        return None if self._service is None else self._service.state.session_id

    @property
    def status_port(self) -> int | None:
        """The port of /livez, /readyz and /metrics while it serves them."""
        return None if self._service is None else self._service.status_port

    def task(
        self,
        task_type: str,
        *,
        process: bool = False,
        non_retryable: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> Callable[[Function], Function]:
        """Register the decorated function as the handler of a task type.

        It takes (payload) or (context, payload) and returns the result: anything JSON can hold, up to 1 MiB. An async
        function runs on the event loop, a sync one in a thread, or with `process=True` in a spawned process, which
        must be able to import it by name. Exceptions are retried as the task's policy says, except `NonRetryable` and
        those listed in `non_retryable`. Raises ValueError for a type that has a handler already.
        """

        check_type(task_type)

        def register(function: Function) -> Function:
            self._register(make_handler(task_type, function, process=process, non_retryable=non_retryable))
            return function

        return register

    def handles(
        self,
        definition: TaskDefinition[In, Out],
        *,
        process: bool = False,
        non_retryable: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> Registration[In, Out]:
        """Register the decorated function as the handler of a task that is defined by `task`.

        As `Worker.task`, but its payload comes as the definition's input and its result must be the definition's
        output: an attempt with another payload fails with INVALID_PAYLOAD, one with another result with
        INVALID_RESULT, and neither is retried.
        """
        check_type(definition.type)
        definition.check()

        def register(function: Callable[..., Any]) -> Any:
            self._register(
                make_handler(
                    definition.type,
                    function,
                    process=process,
                    non_retryable=non_retryable,
                    definition=definition,
                )
            )
            return function

        return register

    def _register(self, handler: Handler) -> None:
        if handler.task_type in self._handlers:
            raise ValueError(f"{handler.task_type!r} has a handler already")
        self._handlers[handler.task_type] = handler

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP, then shut down gracefully; a second signal ends the process at once.

        Where the program has not set up logging, the worker tells on standard error what it serves and where it is
        connected, and what goes wrong: lines on a terminal, else JSON.
        Raises `HelloRefused` if dispatchers refuse this worker for good, ValueError for wrong settings.
        """
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("run was called where an event loop runs already: await serve there")
        show_log()
        run_through(self._run(), self._escaped)

    def _escaped(self, error: BaseException, attempt: Attempt | None) -> None:
        service = self._service
        if service is not None and attempt is not None:
            service.attempts.break_off(attempt, error)
        else:
            logger.error("the worker stops: something that is no handler's ended with %s", type(error).__name__)
            self.stop()

    async def _run(self) -> None:
        with stop_on_signals(self.stop):
            await self.serve()

    async def serve(self) -> None:
        """Serve on the running event loop until `stop`. Signals are the caller's; cancelling hands back at once."""
        if self._service is not None:
            raise RuntimeError("this worker is being served already")
        settings = self._settle()
        self._service = Service(asyncio.get_running_loop(), self._identity(settings), self._handlers, settings)
        if self._stop_asked:
            self._service.stop()
        try:
            with serving():
                await self._service.serve()
        finally:
            self._service = None
            self._stop_asked = False

    def stop(self) -> None:
        """Begin a graceful shutdown, or end the next `serve` at once. For any thread and signal handlers."""
        self._stop_asked = True
        if (service := self._service) is not None:
            service.stop()

    def _settle(self) -> Settings:
        if not 1 <= len(self._handlers) <= MAX_TYPES:
            raise ValueError(f"a worker has 1 to {MAX_TYPES} handlers, got {len(self._handlers)}")
        for handler in self._handlers.values():
            handler.check_sendable()
        return worker_settings.resolve(
            dispatchers=self._dispatchers,
            name=self._name,
            labels=self._labels,
            slots=self._slots,
            processes=self._processes,
            queues=self._queues,
            version=self._version,
            grace=self._grace,
            namespace=self._namespace,
            http_address=self._http_address,
        )

    def _identity(self, settings: Settings) -> wire.Hello:
        return wire.Hello(
            session_id=str(uuid4()),
            secret=token_bytes(32),
            namespace=settings.namespace,
            worker=settings.name,
            types=self._handlers,
            queues=settings.queues,
            labels=settings.labels,
            slots=settings.slots,
            pod=settings.pod,
            node=settings.node,
            sdk=worker_settings.sdk_version(),
            pid=os.getpid(),
            version=settings.version,
        )
