"""The gRPC side of a session: one stream of frames each way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.sessions import NamespaceMismatch, SecretMismatch, Sessions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.wire import times
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_core.wire.gen import worker_service_pb2_grpc
from taskyard_dispatcher.gateway.adoption import Adoption
from taskyard_dispatcher.gateway.grace import Grace
from taskyard_dispatcher.gateway.hearing import Hearing
from taskyard_dispatcher.gateway.hello_rates import TooManyHellos
from taskyard_dispatcher.gateway.presence import Presence
from taskyard_dispatcher.gateway.reception import Flooded, Inbox, Reception
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session as WorkerSession
from taskyard_dispatcher.settings import DispatcherSettings

_log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[wire.WorkerFrame, wire.DispatcherFrame]


class GivenUp(Exception):
    """The worker is not heard, or does not hear, any more; the message is for it, should it be there all the same."""


class SessionStreams(worker_service_pb2_grpc.WorkerServiceServicer):
    """Serves `WorkerService.Session`."""

    def __init__(
        self,
        *,
        dispatcher: str,
        settings: DispatcherSettings,
        roster: Roster,
        adoption: Adoption,
        reception: Reception,
        grace: Grace,
        presence: Presence,
        sessions: Sessions,
        clock: Clock,
        arrived: Callable[[], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._roster = roster
        self._adoption = adoption
        self._reception = reception
        self._grace = grace
        self._presence = presence
        self._sessions = sessions
        self._clock = clock
        self._arrived = arrived
        self._background = Background()
        self._stopping = False

    def stop(self) -> None:
        """Send all workers elsewhere and take no more hellos."""
        self._stopping = True
        for session in self._roster:
            session.send_on()

    async def close(self) -> None:
        """Wait until what workers reported is stored."""
        await self._reception.close()
        await self._background.close()

    async def Session(  # type: ignore[override]  # noqa: N802 - named by the proto, writes to the context
        self, request_iterator: AsyncIterator[wire.WorkerFrame], context: Any
    ) -> None:
        """One worker's session, from hello to the end of its stream."""
        session = await self._open(request_iterator, context)
        inbox = self._reception.open(session)
        writer = asyncio.create_task(self._write(session, context))
        reader = asyncio.create_task(self._read(session, inbox, request_iterator))
        watchdog = asyncio.create_task(self._watch(session))
        parts = (writer, reader, watchdog)
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First, and without waiting for anything: gRPC may cancel this call again at any time, and a session whose
            # end nobody noted would hold its tasks for ever.
            session.stream_ended()
            if not self._stopping:
                # Else streams end because this dispatcher says so, and their sessions live on elsewhere.
                self._grace.begin(session, inbox.settled)
            for part in parts:
                part.cancel()
            self._background.start(_report_failures(session, parts))
        await _tell(parts, context)

    async def _open(self, incoming: AsyncIterator[wire.WorkerFrame], context: Context) -> WorkerSession:
        try:
            async with asyncio.timeout(self._settings.session_timeout):
                first = await anext(incoming)
        except TimeoutError:
            # Not for what it says, which it may say in time elsewhere.
            await context.abort(grpc.StatusCode.ABORTED, f"no hello within {self._settings.session_timeout:g} s")
        except StopAsyncIteration:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "hello: the first frame must have it")
        if not first.HasField("hello"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "hello: the first frame must have it")
        if self._stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this dispatcher is shutting down")
        try:
            session, record = await self._adoption.welcome(first.hello, context.peer())
        except Violation as violation:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"hello.{violation}")
        except NamespaceMismatch:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "hello.session_id: is of another namespace")
        except SecretMismatch:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "hello.secret: is not that of this session")
        except TooManyHellos as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), _retry_trailers(error))
        except StoreUnavailable as error:
            _log.warning("nobody can be welcomed: %s", error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"{error.store} is unavailable")
        await context.write(self._welcome(session))
        session.heard(self._clock.monotonic())
        self._roster.put(session)
        if self._stopping:
            # Its hello was on its way when all others were sent on.
            session.send_on()
        self._presence.arrived(session, record)
        whose = {"session": session.runner.session, "worker": record.worker, "worker_pod": record.pod}
        _log.info("session opened", extra=whose)
        self._arrived()
        return session

    def _welcome(self, session: WorkerSession) -> wire.DispatcherFrame:
        return wire.DispatcherFrame(
            welcome=wire.Welcome(
                dispatcher=self._dispatcher,
                generation=session.generation,
                heartbeat_interval=times.duration(self._settings.heartbeat_interval),
                session_timeout=times.duration(self._settings.session_timeout),
            )
        )

    async def _write(self, session: WorkerSession, context: Context) -> None:
        ready = asyncio.Event()
        session.notify_writer(ready.set)
        # What was found at its hello waits already.
        ready.set()
        while True:
            await ready.wait()
            ready.clear()
            for frame in session.frames():
                await context.write(frame)
            if session.sent():
                self._arrived()

    async def _read(self, session: WorkerSession, inbox: Inbox, incoming: AsyncIterator[wire.WorkerFrame]) -> None:
        hearing = Hearing(self._settings.heartbeat_interval, self._clock.monotonic())
        async for frame in incoming:
            now = self._clock.monotonic()
            if session.receive(frame, now):
                self._background.start(self._note_drain(session))
            unheard = self._unheard(hearing, frame, now)
            await inbox.take(frame)
            if unheard >= self._settings.session_timeout:
                # One that only sends would hold its tasks without ever knowing of them.
                _log.warning("session deaf", extra={"session": session.runner.session, "seconds": round(unheard, 1)})
                raise GivenUp(f"heard has fallen {unheard:.1f} s behind: no echo of a heartbeat arrives")
            if frame.goodbye:
                # What came before must not be overtaken: an attempt that was handed back has not crashed.
                await inbox.settled()
                session.leave()
                return

    def _unheard(self, hearing: Hearing, frame: wire.WorkerFrame, now: float) -> float:
        """Seconds for which the worker has not received what was sent, as far as this frame tells."""
        if not (frame.HasField("heartbeat") and frame.heartbeat.HasField("heard")):
            return 0.0
        return hearing.heard(frame.heartbeat.sequence, frame.heartbeat.heard, now)

    async def _note_drain(self, session: WorkerSession) -> None:
        try:
            await self._sessions.drain(session.id, session.generation)
        except StoreUnavailable as error:
            _log.info("drain is not shown: %s", error)

    async def _watch(self, session: WorkerSession) -> None:
        """Raises GivenUp once the worker has been silent for too long."""
        while (silence := session.silence(self._clock.monotonic())) < self._settings.session_timeout:
            await self._clock.sleep(self._settings.session_timeout - silence)
        _log.warning("session silent", extra={"session": session.runner.session, "seconds": round(silence, 1)})
        raise GivenUp(f"no frame for {silence:.1f} s, not even a heartbeat")


async def _tell(parts: Iterable[asyncio.Task[None]], context: Context) -> None:
    """End the stream with why it ends, where that is not the worker's own wish."""
    for part in parts:
        error = part.exception() if part.done() and not part.cancelled() else None
        if isinstance(error, Violation):
            raise error
        if isinstance(error, Flooded):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        if isinstance(error, GivenUp):
            await context.abort(grpc.StatusCode.ABORTED, str(error))


def _retry_trailers(refusal: TooManyHellos) -> tuple[tuple[str, bytes]]:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=times.duration(refusal.retry_after)))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    status = status_pb2.Status(code=code, message=str(refusal), details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)


_TOLD = (grpc.RpcError, grpc.aio.BaseError, Violation, GivenUp)
"""Ends that are no failure of this dispatcher's, or are in its log already."""


async def _report_failures(session: WorkerSession, parts: Iterable[asyncio.Task[None]]) -> None:
    for error in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(error, Flooded):
            _log.warning("session refused: %s", error, extra={"session": session.runner.session})
        elif isinstance(error, Exception) and not isinstance(error, _TOLD):
            _log.error("session failed", exc_info=error, extra={"session": session.runner.session})
