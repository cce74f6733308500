"""Steps that play the dispatcher, and look at what the worker sends."""

import asyncio
import itertools
from typing import Any, ClassVar, Literal, Self

import grpc
from pydantic import Field, field_validator, model_validator

from conformance.dispatcher import Dispatcher, Item, Stream
from conformance.documents import build, check
from conformance.pattern import difference
from conformance.stage import Stage, StepFailed
from conformance.steps.base import WITHIN, Pattern, Seconds, Step, step
from taskyard_core.wire.gen import worker_service_pb2 as wire

_ITEMS: dict[str, Any] = {
    "hello": wire.Hello,
    "result": wire.TaskResult,
    "released": wire.AttemptRef,
    "progress": wire.TaskProgress,
    "heartbeat": wire.Heartbeat,
}


def _checked(pattern: Any) -> Any:
    """An item's pattern, whose fields exist."""
    if not isinstance(pattern, dict) or len(pattern) != 1:
        raise ValueError("an item is one of hello, result, released, progress, heartbeat, drain and goodbye")
    (kind, content) = next(iter(pattern.items()))
    if kind in _ITEMS:
        check(_ITEMS[kind].DESCRIPTOR, content)
    elif kind not in ("drain", "goodbye"):
        raise ValueError(f"no item {kind!r}")
    return pattern


def _at(stage: Stage, name: str) -> Dispatcher:
    return stage.dispatchers[name]


class OnStream(Step):
    """A step on the current stream of a dispatcher."""

    at: str = "a"

    def _stream(self, stage: Stage) -> Stream:
        dispatcher = _at(stage, self.at)
        if not dispatcher.taken:
            raise ValueError(f"the case has met no stream at {self.at} yet")
        return dispatcher.current


@step
class Hello(OnStream):
    """The worker's next stream at this dispatcher, with this hello; it is the current one from now on."""

    verb: ClassVar[str] = "hello"
    hello: Pattern
    within: Seconds = WITHIN

    @field_validator("hello")
    @classmethod
    def _fields(cls, value: Any) -> Any:
        check(wire.Hello.DESCRIPTOR, value)
        return value

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        dispatcher = _at(stage, self.at)

        def look() -> bool | None:
            return len(dispatcher.streams) > dispatcher.taken or None

        await stage.until(dispatcher.changed, look, self.within, f"a hello at {self.at}")
        dispatcher.taken += 1
        if told := difference(stage.filled(self.hello), dispatcher.current.hello, stage.names):
            raise StepFailed(f"the hello: {told}")


@step
class NoHello(OnStream):
    """No stream comes to this dispatcher for so long."""

    verb: ClassVar[str] = "no_hello"
    no_hello: Literal[True]
    duration: Seconds = Field(0.3, alias="for")

    async def take(self, stage: Stage) -> None:
        """Watch."""
        dispatcher = _at(stage, self.at)
        more = await stage.never(
            dispatcher.changed, lambda: len(dispatcher.streams) > dispatcher.taken or None, self.duration
        )
        if more:
            raise StepFailed("a hello came")


@step
class Expect(OnStream):
    """Such an item, or one of `or`, has come, or comes; each is met once. `times`: as many of them."""

    verb: ClassVar[str] = "expect"
    expect: Pattern
    others: list[Pattern] = Field([], alias="or")
    within: Seconds = WITHIN
    times: int = 1

    @field_validator("expect")
    @classmethod
    def _fields(cls, value: Any) -> Any:
        return _checked(value)

    @field_validator("others")
    @classmethod
    def _fields_of_others(cls, value: list[Any]) -> list[Any]:
        return [_checked(item) for item in value]

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        dispatcher, stream = _at(stage, self.at), self._stream(stage)
        met = 0

        def look() -> bool | None:
            nonlocal met
            while met < self.times and any(_meet(stage, stream, one) for one in [self.expect, *self.others]):
                met += 1
            return True if met == self.times else None

        try:
            await stage.until(dispatcher.changed, look, self.within, f"{self.expect}")
        except StepFailed as failed:
            got = f"{met} of {self.times} came; " if self.times > 1 else ""
            raise StepFailed(f"{failed}; {got}{_closest(stage, stream, self.expect)}") from None


@step
class Never(OnStream):
    """No such item has come on the current stream that a step has not met, and none comes for so long."""

    verb: ClassVar[str] = "never"
    never: Pattern
    duration: Seconds = Field(0.3, alias="for")

    @field_validator("never")
    @classmethod
    def _fields(cls, value: Any) -> Any:
        return _checked(value)

    async def take(self, stage: Stage) -> None:
        """Watch."""
        dispatcher, stream = _at(stage, self.at), self._stream(stage)
        if await stage.never(dispatcher.changed, lambda: _meet(stage, stream, self.never) or None, self.duration):
            raise StepFailed(f"it came: {self.never}")


@step
class Order(OnStream):
    """These items have come on the current stream, one after another; what else came between them does not count."""

    verb: ClassVar[str] = "order"
    order: list[Pattern]

    @field_validator("order")
    @classmethod
    def _fields(cls, value: list[Any]) -> list[Any]:
        return [_checked(item) for item in value]

    async def take(self, stage: Stage) -> None:
        """Look."""
        items = iter(self._stream(stage).items)
        for wanted in self.order:
            if not any(_is(stage, item, wanted) for item in items):
                raise StepFailed(f"{wanted} did not come in its turn")


@step
class Pace(OnStream):
    """Heartbeats on the current stream have come this often: each gap is at least and at most so long.

    The first one comes at most as long after the welcome.
    """

    verb: ClassVar[str] = "pace"
    pace: tuple[Seconds, Seconds]
    beats: int = 3

    async def take(self, stage: Stage) -> None:
        """Wait for as many and measure."""
        dispatcher, stream = _at(stage, self.at), self._stream(stage)
        least, most = self.pace

        def look() -> list[Item] | None:
            beats = [item for item in stream.items if item.kind == "heartbeat"]
            return beats if len(beats) >= self.beats else None

        within = self.beats * most + 1
        beats = await stage.until(dispatcher.changed, look, within, f"{self.beats} heartbeats")
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(beats)]
        first = beats[0].at - (stream.welcomed or 0.0)
        if min(gaps) < least or max([first, *gaps]) > most * stage.patience:
            told = ", ".join(f"{gap:.2f}" for gap in [first, *gaps])
            raise StepFailed(f"heartbeats came after {told} s")


def _is(stage: Stage, item: Item, wanted: Any) -> bool:
    (kind, pattern) = next(iter(wanted.items()))
    return item.kind == kind and difference(stage.filled(pattern), item.content, stage.names) is None


def _meet(stage: Stage, stream: Stream, wanted: Any) -> bool:
    for item in stream.items:
        if not item.used and _is(stage, item, wanted):
            item.used = True
            return True
    return False


def _closest(stage: Stage, stream: Stream, wanted: Any) -> str:
    """Why the last item of the kind was not it, for people."""
    (kind, pattern) = next(iter(wanted.items()))
    same = [item for item in stream.items if item.kind == kind and not item.used]
    if not same:
        return f"there was no {kind} left among {', '.join(item.kind for item in stream.items[-12:])}"
    return f"the last {kind}: {difference(stage.filled(pattern), same[-1].content, {**stage.names})}"


@step
class Send(OnStream):
    """Send a frame."""

    verb: ClassVar[str] = "send"
    send: dict[str, Any]

    @field_validator("send")
    @classmethod
    def _fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        build(wire.DispatcherFrame(), value)
        return value

    async def take(self, stage: Stage) -> None:
        """Send it."""
        frame = wire.DispatcherFrame()
        build(frame, stage.filled(self.send))
        _at(stage, self.at).send(self._stream(stage), frame)


@step
class Assign(OnStream):
    """Assign attempts: one, several, or `count` of them, with `$n` in names and payload counting up."""

    verb: ClassVar[str] = "assign"
    assign: str | list[str]
    count: int | None = None
    attempt: int = 1
    type: str = "kit"
    payload: Any = None
    fields: dict[str, Any] = Field(default_factory=dict, alias="with")

    @model_validator(mode="after")
    def _valid(self) -> Self:
        self._frame(lambda value: value)
        return self

    def _frame(self, filled: Any) -> wire.DispatcherFrame:
        names = [self.assign] if isinstance(self.assign, str) else self.assign
        frame = wire.DispatcherFrame()
        for place in range(1, (self.count or 1) + 1):
            for name in names:
                content = {
                    "task_id": name.replace("$n", str(place)),
                    "attempt": self.attempt,
                    "type": self.type,
                    "queue": "default",
                    "payload": _counted(filled(self.payload), place),
                    "created_at": "2026-01-02T03:04:05.123456789Z",
                    **self.fields,
                }
                build(frame.assignments.add(), content)
        return frame

    async def take(self, stage: Stage) -> None:
        """Send them in one frame."""
        _at(stage, self.at).send(self._stream(stage), self._frame(stage.filled))


def _counted(payload: Any, place: int) -> Any:
    if isinstance(payload, dict):
        return {key: _counted(value, place) for key, value in payload.items()}
    return payload.replace("$n", str(place)) if isinstance(payload, str) else payload


@step
class Ack(OnStream):
    """Give a verdict."""

    verb: ClassVar[str] = "ack"
    ack: str
    attempt: int = 1
    verdict: str | int = "ACCEPTED"
    count: int | None = None

    async def take(self, stage: Stage) -> None:
        """Send it."""
        frame = wire.DispatcherFrame()
        acks = [
            {"task_id": self.ack.replace("$n", str(place)), "attempt": self.attempt, "verdict": self.verdict}
            for place in range(1, (self.count or 1) + 1)
        ]
        build(frame, {"acks": acks})
        _at(stage, self.at).send(self._stream(stage), frame)


@step
class Stop(OnStream):
    """Ask for an attempt to stop."""

    verb: ClassVar[str] = "stop"
    stop: str
    attempt: int = 1
    reason: str | int = "CANCELLED"

    async def take(self, stage: Stage) -> None:
        """Send it."""
        frame = wire.DispatcherFrame()
        build(frame, {"stops": [{"task_id": self.stop, "attempt": self.attempt, "reason": self.reason}]})
        _at(stage, self.at).send(self._stream(stage), frame)


@step
class Welcome(OnStream):
    """Welcome the worker on the current stream, where the dispatcher does not do so by itself."""

    verb: ClassVar[str] = "welcome"
    welcome: dict[str, Any]

    @field_validator("welcome")
    @classmethod
    def _fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        build(wire.Welcome(), value)
        return value

    async def take(self, stage: Stage) -> None:
        """Send it."""
        _at(stage, self.at).greet(self._stream(stage), self.welcome)


@step
class End(OnStream):
    """End the current stream with a status."""

    verb: ClassVar[str] = "end"
    end: str
    details: str = "as the case says"

    @field_validator("end")
    @classmethod
    def _known(cls, value: str) -> str:
        return grpc.StatusCode[value].name

    async def take(self, stage: Stage) -> None:
        """End it."""
        _at(stage, self.at).end(self._stream(stage), grpc.StatusCode[self.end], self.details)


@step
class Ended(OnStream):
    """The worker ends the current stream."""

    verb: ClassVar[str] = "ended"
    ended: Literal[True]
    within: Seconds = WITHIN
    after: Seconds = 0.0
    """But not sooner than this, from now."""

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        dispatcher, stream = _at(stage, self.at), self._stream(stage)
        began = asyncio.get_running_loop().time()

        def look() -> float | None:
            return stream.ended or (0.0 if stream.half_closed else None)

        await stage.until(dispatcher.changed, look, self.within, "the end of the stream")
        lasted = asyncio.get_running_loop().time() - began
        if lasted < self.after:
            raise StepFailed(f"the stream was ended after {lasted:.2f} s")


@step
class Auto(OnStream):
    """What the dispatcher does by itself from now on, of `welcome`, `echo` and `ack`."""

    verb: ClassVar[str] = "auto"
    auto: list[Literal["welcome", "echo", "ack", "end"]]

    async def take(self, stage: Stage) -> None:
        """Change it."""
        _at(stage, self.at).auto = frozenset(self.auto)
