"""The session's I/O: one stream to one dispatcher at a time, in threads of its own.

gRPC is used synchronously here, and nothing waits for the worker's event loop: a handler that blocks the loop keeps
neither heartbeats nor other handlers' results from going out. Three threads take part: `_connect` opens streams one
after another and reads them, gRPC's own sender draws frames from `_outgoing`, `_watch` gives up a stream that fell
silent.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import grpc

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.worker_service_pb2_grpc import WorkerServiceStub
from taskyard._home import connected, disconnected
from taskyard.worker.introduction import facts, introduction
from taskyard.worker.journal import logger
from taskyard.worker.rotation import Rotation
from taskyard.worker.session_state import Key, ProtocolError, Received, SessionState

STABLE_AFTER = 1.0
"""Seconds after which a stream counts as one that worked."""
GOODBYE_TIME = 1.0
"""Seconds the dispatcher has to end the stream after a goodbye."""
COMPLAIN_EVERY = 5.0
_WATCH_INTERVAL = 0.5
_MIB = 1024 * 1024
# A hello refused for one of these will be refused everywhere.
_FATAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
_CHANNEL_OPTIONS = [
    # A shared subchannel would carry the backoff of an earlier failure into a new try.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 16 * _MIB),
    ("grpc.max_send_message_length", 16 * _MIB),
    # One name may stand for many dispatchers: spread over them.
    (
        "grpc.service_config",
        json.dumps({"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]}),
    ),
]


class HelloRefused(Exception):
    """The dispatcher refused this worker's hello for good, e.g. for a bad label. The message says why."""


class Listener(Protocol):
    """Whom the session tells. Called from the session's thread; must not block."""

    def assigned(self, assignments: list[wire.Assignment]) -> None:
        """A frame brought attempts to start."""

    def stopped(self, stops: list[tuple[Key, "wire.StopReason.ValueType"]]) -> None:
        """A frame brought attempts to stop."""

    def refused(self, error: HelloRefused) -> None:
        """The session cannot be opened and has ended."""


class _Stream:
    """One call, and whether it is over."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.closed = False
        self.silent = False
        self.call: grpc.CallIterator[wire.DispatcherFrame] | None = None

    def cancel(self) -> None:
        """Break the call off, if there is one."""
        if self.call is not None:
            self.call.cancel()  # type: ignore[no-untyped-call]


class Session:
    """Keeps one session alive across streams and dispatchers."""

    def __init__(
        self,
        state: SessionState,
        rotation: Rotation,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._rotation = rotation
        self._listener = listener
        self._clock = clock
        self._changed = threading.Condition()
        self._sender_idle = False
        self._waiting = 0
        self._closing = threading.Event()
        self._stream: _Stream | None = None
        self._threads = [
            threading.Thread(target=self._connect, name="taskyard-session", daemon=True),
            threading.Thread(target=self._watch, name="taskyard-watchdog", daemon=True),
        ]
        self._complain_from = 0.0
        self._no_dispatcher: set[str] = set()
        """Addresses whose last answer was that there is no dispatcher."""
        self.connects = 0
        """Welcomes received so far."""

    # For the worker; any thread

    def start(self) -> None:
        """Begin to connect."""
        connected(self)
        for thread in self._threads:
            thread.start()

    @property
    def connected(self) -> bool:
        """Whether a dispatcher has welcomed the worker on the present stream."""
        return self._state.welcomed

    def finish(self, result: wire.TaskResult) -> None:
        """Send a result now, and again on later streams until it is acknowledged."""
        with self._changed:
            if self._state.finish(result):
                self._stir()

    def release(self, key: Key) -> None:
        """Hand an attempt back unfinished."""
        with self._changed:
            if self._state.release(key):
                self._stir()

    def report_progress(self, key: Key, fraction: float, message: str) -> None:
        """Send progress soon."""
        with self._changed:
            if self._state.report_progress(key, fraction, message):
                self._stir()

    def drain(self) -> None:
        """Ask for no more assignments."""
        with self._changed:
            self._state.drain()
            self._stir()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no attempt runs; False if that takes longer than `timeout` seconds."""
        return self._wait(lambda: not self._state.running, timeout)

    def wait_settled(self, timeout: float) -> bool:
        """Wait until all results are acknowledged and all releases sent; False after `timeout` seconds."""
        return self._wait(lambda: self._state.settled, timeout)

    def close(self) -> None:
        """Say goodbye if there is anyone to say it to, and end."""
        with self._changed:
            if self._state.settled and self._state.welcomed:
                self._state.leave()
            self._stir()
        self._closing.set()
        connector, watchdog = self._threads
        connector.join(GOODBYE_TIME)
        while connector.is_alive():
            with self._changed:
                stream = self._stream
            if stream is not None:
                stream.cancel()
            connector.join(0.1)
        watchdog.join()
        disconnected(self)

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            self._waiting += 1
            try:
                return self._changed.wait_for(condition, timeout)
            finally:
                self._waiting -= 1

    def _stir(self) -> None:
        """Wake the sender if it has nothing to do, and whoever waits. Under the lock."""
        if self._sender_idle or self._waiting:
            self._sender_idle = False
            self._changed.notify_all()

    # Connecting and reading

    def _connect(self) -> None:
        while not self._closing.is_set():
            address, delay = self._rotation.following()
            if self._closing.wait(delay):
                return
            refusal = self._hold_stream(address)
            if refusal is not None:
                self._listener.refused(refusal)
                return

    def _hold_stream(self, address: str) -> HelloRefused | None:
        """Open a stream and read it to its end. An exception returned means that another try is pointless."""
        stream = _Stream(address)
        began = self._clock()
        try:
            with grpc.insecure_channel(address, _CHANNEL_OPTIONS) as channel:
                self._read(stream, channel)
        except grpc.RpcError as error:
            return self._judge(stream, error)
        except ProtocolError as error:
            logger.error("stream to %s given up: %s", address, error)
        except Exception as error:  # this thread is the session: it goes on with another stream, whatever it was
            logger.error("stream to %s given up: %s", address, error, exc_info=error)
        finally:
            welcomed = self._end(stream)
            if welcomed:
                self._note_success(self._clock() - began)
        return None

    def _note_success(self, seconds: float) -> None:
        if seconds >= STABLE_AFTER:
            self._rotation.worked()
        else:
            self._rotation.broke_early()

    def _read(self, stream: _Stream, channel: grpc.Channel) -> None:
        with self._changed:
            hello = self._state.hello(self._clock())
            self._stream = stream
        call = WorkerServiceStub(channel).Session(self._outgoing(stream, hello))
        stream.call = call
        try:
            for frame in call:
                if self._receive(stream, frame):
                    logger.info("dispatcher at %s goes away", stream.address)
                    return
        finally:
            stream.cancel()

    def _receive(self, stream: _Stream, frame: wire.DispatcherFrame) -> bool:
        """Whether the dispatcher asks to go elsewhere."""
        with self._changed:
            received = self._state.receive(frame, self._clock())
            self._stir()
            if frame.HasField("welcome"):
                self._welcomed(stream)
        self._pass_on(received)
        return received.go_away

    def _pass_on(self, received: Received) -> None:
        if received.stops:
            self._listener.stopped(received.stops)
        if received.starts:
            self._listener.assigned(received.starts)

    def _welcomed(self, stream: _Stream) -> None:
        self.connects += 1
        state = self._state
        place = f"dispatcher {state.dispatcher} at {stream.address}"
        told = {"dispatcher": state.dispatcher, "address": stream.address}
        if self.connects == 1:
            logger.info("%s at %s", introduction(state.identity), place, extra={**facts(state.identity), **told})
            return
        logger.info(
            "connected to %s, generation %d; %d attempts running, %d results to resend",
            place,
            state.generation,
            len(state.running),
            len(state.unacked),
            extra=told,
        )

    def _end(self, stream: _Stream) -> bool:
        """Whether the stream had been welcomed."""
        with self._changed:
            welcomed = self._state.welcomed
            stream.closed = True
            self._stream = None
            self._state.disconnected()
            self._sender_idle = False
            self._changed.notify_all()
        return welcomed

    def _judge(self, stream: _Stream, error: grpc.RpcError) -> HelloRefused | None:
        # What a failed stream iterator raises is the call itself.
        assert isinstance(error, grpc.Call)
        code, details = error.code(), error.details()
        if self.connects == 0 and (code in _FATAL or self._is_nowhere(stream.address, code)):
            return HelloRefused(f"{stream.address}: {code.name}: {details}")
        if not self._closing.is_set():
            why = "it fell silent" if stream.silent else f"{code.name}: {details}"
            logger.log(
                self._complaint_level(),
                "no session with dispatcher at %s (%s); %d attempts run on",
                stream.address,
                why,
                len(self._state.running),
            )
        return None

    def _is_nowhere(self, address: str, code: grpc.StatusCode) -> bool:
        """Whether all addresses lead to something else than a dispatcher; that one of many does is a slip."""
        if code is grpc.StatusCode.UNIMPLEMENTED:
            self._no_dispatcher.add(address)
        else:
            self._no_dispatcher.discard(address)
        return self._no_dispatcher >= self._rotation.addresses

    def _complaint_level(self) -> int:
        """An outage is worth a warning now and then, not one per try."""
        now = self._clock()
        if now < self._complain_from:
            return logging.DEBUG
        self._complain_from = now + COMPLAIN_EVERY
        return logging.WARNING

    # Sending; in gRPC's thread

    def _outgoing(self, stream: _Stream, hello: wire.WorkerFrame) -> Iterator[wire.WorkerFrame]:
        yield hello
        while (frame := self._next_frame(stream)) is not None:
            yield frame
            if frame.goodbye:
                return

    def _next_frame(self, stream: _Stream) -> wire.WorkerFrame | None:
        """Wait for something to send. None: the stream is over."""
        with self._changed:
            while not stream.closed:
                now = self._clock()
                frame = self._state.next_frame(now)
                if frame is not None:
                    if self._waiting:
                        self._changed.notify_all()
                    return frame
                due = self._state.next_due()
                self._sender_idle = True
                self._changed.wait(None if due is None else max(0.0, due - now))
            return None

    # Watching

    def _watch(self) -> None:
        while not self._closing.wait(self._watch_delay()):
            with self._changed:
                stream = self._stream
                silent = stream is not None and self._state.is_silent(self._clock())
            if silent and stream is not None:
                stream.silent = True
                stream.cancel()

    def _watch_delay(self) -> float:
        silent_at = self._state.silent_at
        if silent_at is None:
            return _WATCH_INTERVAL
        return max(0.01, min(_WATCH_INTERVAL, silent_at - self._clock()))
