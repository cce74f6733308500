"""A worker process: the SDK's own session state, with handlers that do what the plan says."""

import asyncio
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from chaos.history.events import Ended, Started, digest
from chaos.history.record import History
from simulation.loop import Handle, Process
from simulation.network import Connection, Network, StreamEnded
from simulation.plan import Deed, Job, Machine
from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker.rotation import Rotation
from taskyard.worker.session_state import Key, ProtocolError, SessionState

STABLE_AFTER = 1.0
_DRAIN_TIME = 2.0


class Worker:
    """Says hello, runs what it is given, and brings results home until they are acknowledged."""

    def __init__(
        self,
        machine: Machine,
        process: Process,
        *,
        network: Network,
        addresses: list[str],
        jobs: tuple[Job, ...],
        history: History,
        random: Random,
    ) -> None:
        self.machine = machine
        self.process = process
        self.session = str(uuid.uuid4())
        self.connection: Connection | None = None
        self.deaf_until = 0.0
        """Until then nothing is read from the stream."""
        self.sent_on: tuple[int, float] | None = None
        """The generation in which, and when, it last left because it was told to, and not because its stream broke."""
        self._network = network
        self._loop = process.loop
        self._rotation = Rotation(addresses, random)
        self._jobs = jobs
        self._history = history
        self._state = SessionState(
            wire.Hello(
                session_id=self.session,
                secret=self.session.encode(),
                worker=machine.name,
                types=machine.types,
                queues=machine.queues,
                labels=dict(machine.labels),
                slots=machine.slots,
            )
        )
        self._attempts: dict[Key, _Attempt] = {}
        self._old_results: list[wire.TaskResult] = []
        self._pump_at: Handle | None = None
        self._pumping = False
        self._changed = asyncio.Event()
        self._leaving = False

    async def run(self) -> None:
        """Keep a session until told to leave."""
        while not self._leaving:
            address, delay = self._rotation.following()
            if delay:
                await asyncio.sleep(delay)
            connection = self._network.connect(self.process, (self.machine.name, address))
            # Connecting takes a round trip, also where nobody listens.
            await asyncio.sleep(2 * self._network.delay())
            if connection is not None:
                await self._hold(connection)

    async def leave(self) -> None:
        """SIGTERM: take nothing more, give running handlers a little time, hand back the rest, and say goodbye."""
        self._state.drain()
        self._stir()
        await self._until(lambda: not self._state.running, _DRAIN_TIME)
        for key, attempt in list(self._attempts.items()):
            attempt.end()
            self._end(key, "RELEASED", None)
            self._state.release(key)
        self._stir()
        await self._until(lambda: self._state.settled, _DRAIN_TIME)
        if self._state.settled and self._state.welcomed:
            self._state.leave()
            self._stir()
            await asyncio.sleep(_DRAIN_TIME)
        self._leaving = True

    def replay(self) -> bool:
        """Send results again that are long settled; whether there are any."""
        if self.connection is None or not self._old_results or not self._state.welcomed:
            return False
        self.connection.send(wire.WorkerFrame(results=self._old_results))
        return True

    # The stream

    async def _hold(self, connection: Connection) -> None:
        began, welcomed = self._loop.time(), False
        generation = 0
        self.connection = connection
        connection.send(self._state.hello(began))
        watchdog = self._loop.call_at(self._state.silent_at or began, self._watch, connection)
        try:
            while True:
                if self._loop.time() < self.deaf_until:
                    await asyncio.sleep(self.deaf_until - self._loop.time())
                frame = await connection.receive()
                received = self._state.receive(frame, self._loop.time())
                welcomed = True
                generation = frame.welcome.generation or generation
                for key, reason in received.stops:
                    self._stop(key, reason)
                for assignment in received.starts:
                    self._start(assignment)
                self._stir()
                if received.go_away:
                    if connection.served:
                        self.sent_on = (generation, self._loop.time())
                    break
        except (StreamEnded, ProtocolError):
            pass
        watchdog.cancel()
        connection.close()
        self.connection = None
        self._state.disconnected()
        if welcomed and self._loop.time() - began >= STABLE_AFTER:
            self._rotation.worked()
        elif welcomed:
            self._rotation.broke_early()

    def _watch(self, connection: Connection) -> None:
        if self.connection is not connection:
            return
        if self._state.is_silent(self._loop.time()):
            connection.close()
        elif self._state.silent_at is not None:
            self._loop.call_at(self._state.silent_at, self._watch, connection)

    def _stir(self) -> None:
        """Send soon what there is to send."""
        self._changed.set()
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self._pump_at is not None:
            self._pump_at.cancel()
            self._pump_at = None
        connection = self.connection
        if connection is None:
            return
        while (frame := self._state.next_frame(self._loop.time())) is not None:
            connection.send(frame)
            if frame.goodbye:
                connection.half_close()
                return
        due = self._state.next_due()
        if due is not None:
            self._pump_at = self._loop.call_at(due, self._pump)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    # Handlers

    def _start(self, assignment: wire.Assignment) -> None:
        key = (assignment.task_id, assignment.attempt)
        job = self._jobs[int(float(assignment.payload.strip(b"[]")))]
        self._history.started.append(Started(self._loop.time(), self.machine.name, self.session, *key))
        attempt = self._attempts[key] = _Attempt(job.deed(assignment.attempt))
        loop = self._loop
        attempt.timers.append(loop.call_later(attempt.deed.seconds, self._done, key))
        if assignment.HasField("timeout"):
            limit = assignment.timeout.seconds + assignment.timeout.nanos / 1e9
            attempt.timers.append(loop.call_later(limit, self._time_out, key))

    def _done(self, key: Key) -> None:
        match self._attempts[key].deed.end:
            case "success":
                result = b'"%s/%d"' % (key[0].encode(), key[1])
                self._finish(key, "SUCCEEDED", wire.TaskResult(result=result), digest(result))
            case "failure":
                self._finish(key, "FAILED", _error("Failure", retryable=True))
            case "final":
                self._finish(key, "HOPELESS", _error("Final", retryable=False))
            case "unasked":
                self._finish(key, "CANCELLED", wire.TaskResult(cancelled=True))
            case "death":
                self.process.kill()
            case "endless":
                return

    def _time_out(self, key: Key) -> None:
        self._finish(key, "TIMED_OUT", _error("TIMEOUT", retryable=True))

    def _stop(self, key: Key, reason: int) -> None:
        attempt = self._attempts.get(key)
        if attempt is None:
            return
        if reason == wire.STOP_REASON_LOST:
            attempt.end()
            self._end(key, "LOST", None)
        elif reason == wire.STOP_REASON_TIMEOUT:
            self._time_out(key)
        elif not attempt.deed.deaf:
            attempt.end()
            cancelled = wire.TaskResult(cancelled=True)
            attempt.timers.append(self._loop.call_later(0.01, self._finish, key, "CANCELLED", cancelled))

    def _finish(self, key: Key, outcome: str, result: wire.TaskResult, told: str | None = None) -> None:
        result.task_id, result.attempt = key
        self._attempts[key].end()
        self._end(key, outcome, told)
        if self._state.finish(result):
            self._old_results.append(result)
            self._stir()

    def _end(self, key: Key, outcome: str, result: str | None) -> None:
        del self._attempts[key]
        self._changed.set()
        self._history.ended.append(Ended(self._loop.time(), self.machine.name, self.session, *key, outcome, result))


class _Attempt:
    """A handler that runs."""

    __slots__ = ("deed", "timers")

    def __init__(self, deed: Deed) -> None:
        self.deed = deed
        self.timers: list[Any] = []

    def end(self) -> None:
        """Let nothing more come of it."""
        for timer in self.timers:
            timer.cancel()


def _error(type: str, *, retryable: bool) -> wire.TaskResult:
    return wire.TaskResult(error=TaskError(type=type, message=type, retryable=retryable))
