"""One run of a worker: wires session and attempts together, and shuts them down in order."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker.attempts import Attempts
from taskyard.worker.handler import Handler
from taskyard.worker.journal import logger
from taskyard.worker.rotation import Rotation
from taskyard.worker.runners import make_runners
from taskyard.worker.session import HelloRefused, Session
from taskyard.worker.session_state import Key, SessionState
from taskyard.worker.settings import Settings
from taskyard.worker.status_page import Status, StatusPage

STOP_TIME = 1.0
"""Seconds that cancelled handlers get to end once the grace is over."""
FLUSH_TIME = 3.0
"""Seconds that the last results get to be acknowledged."""


class Service:
    """A worker at work. Also the session's listener: passes each frame on to the event loop in one call."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identity: wire.Hello,
        handlers: Mapping[str, Handler],
        settings: Settings,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._modes = {handler.mode for handler in handlers.values()}
        self.state = SessionState(identity)
        self.session = Session(self.state, Rotation(settings.dispatchers), self)
        self.attempts = Attempts(loop, handlers, self.session)
        self._page = self._make_page(settings.http_address)
        self._stop = asyncio.Event()
        self._refusal: HelloRefused | None = None

    async def serve(self) -> None:
        """Work until `stop`, then shut down. Raises `HelloRefused` if no session can be opened."""
        task = asyncio.current_task()
        self.attempts.ending = lambda: task is not None and task.cancelling() > 0
        self._make_runners()
        if self._page is not None:
            self._page.start()
        self.session.start()
        logger.debug(
            "worker %s looks for a dispatcher at %s", self._settings.name, ", ".join(self._settings.dispatchers)
        )
        grace = self._settings.grace
        try:
            await self._stop.wait()
        except asyncio.CancelledError:
            grace = 0.0
            self._loop.call_soon(self.attempts.blame)
            raise
        finally:
            await self._shut_down(grace)
        if self._refusal is not None:
            raise self._refusal

    def stop(self) -> None:
        """Begin to shut down. Callable from any thread and from signal handlers."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def _make_runners(self) -> None:
        self.attempts.runners = make_runners(
            self._loop,
            self.attempts,
            self.session.report_progress,
            modes=self._modes,
            slots=self._settings.slots,
            processes=self._settings.processes,
        )

    def _make_page(self, address: str) -> StatusPage | None:
        try:
            return StatusPage(address, self._loop, self._status) if address else None
        except OSError as error:
            raise ValueError(f"http_address: can't listen at {address}: {error}") from error

    @property
    def status_port(self) -> int | None:
        """The port of /livez, /readyz and /metrics, if they are served."""
        return None if self._page is None else self._page.port

    def _status(self) -> Status:
        return Status(
            connected=self.session.connected,
            draining=self.state.draining,
            slots=self._settings.slots,
            running=len(self.state.running),
            unacknowledged=len(self.state.unacked),
            connects=self.session.connects,
            stale=self.state.stale,
            outcomes=dict(self.attempts.outcomes),
        )

    # The session's listener

    def assigned(self, assignments: list[wire.Assignment]) -> None:
        """Run a frame's assignments."""
        self._loop.call_soon_threadsafe(self.attempts.start, assignments)

    def stopped(self, stops: list[tuple[Key, "wire.StopReason.ValueType"]]) -> None:
        """Stop attempts."""
        self._loop.call_soon_threadsafe(self.attempts.stop, stops)

    def refused(self, error: HelloRefused) -> None:
        """End: there is nothing to serve."""
        self._refusal = error
        self.stop()

    # The end

    async def _shut_down(self, grace: float) -> None:
        # Not the loop's own threads: handlers may have filled them.
        threads = ThreadPoolExecutor(1, "taskyard-shutdown")
        try:
            await self._end(grace, partial(self._loop.run_in_executor, threads))
        finally:
            threads.shutdown(wait=False)

    async def _end(self, grace: float, aside: Callable[..., Awaitable[Any]]) -> None:
        logger.info("worker stops: %d attempts are running", len(self.attempts))
        session = self.session
        session.drain()
        if self._refusal is None and not await aside(session.wait_idle, grace):
            self.attempts.shut_down()
            await aside(session.wait_idle, STOP_TIME)
        if released := len(self.attempts):
            logger.warning("handing back %d attempts that did not finish in time", released)
        # Children are killed before their attempts are handed back: the next attempt must not overlap with this one.
        await aside(self.attempts.close)
        self.attempts.release()
        if self._refusal is None and not await aside(session.wait_settled, FLUSH_TIME):
            logger.warning("ending with %d results unacknowledged", len(self.state.unacked))
        await aside(session.close)
        if self._page is not None:
            await aside(self._page.close)
        logger.info("worker stopped")
