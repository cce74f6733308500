"""Steps that play the scheduler, and those at the doors of both kinds of servers."""

from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, cast

from google.protobuf.descriptor import Descriptor
from pydantic import Field, field_validator, model_validator

from conformance.documents import build, check
from conformance.pattern import difference
from conformance.scheduler import METHODS, Call, Scheduler, Turn, message_class
from conformance.stage import Stage, StepFailed
from conformance.steps.base import WITHIN, Pattern, Seconds, Step, step
from taskyard_core.wire.gen import task_pb2


def _known_method(kind: str) -> str:
    if kind not in METHODS:
        raise ValueError(f"no call {kind!r}")
    return kind


class OnScheduler(Step):
    """A step at a scheduler."""

    at: str = "s"

    def _scheduler(self, stage: Stage) -> Scheduler:
        return stage.schedulers[self.at]


@step
class Plan(OnScheduler):
    """What the next `times` calls of a kind meet: `refuse`, `answer`, `lose`, `hold`, or refused `items`."""

    verb: ClassVar[str] = "next"
    next: str
    refuse: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    lose: bool = False
    hold: bool = False
    items: dict[int, dict[str, Any]] = Field(default_factory=dict)
    times: int = 1

    @model_validator(mode="after")
    def _valid(self) -> Self:
        _known_method(self.next)
        allowed = {"code", "reason", "message", "field", "retry_after", "task_id"}
        for refusal in [self.refuse or {}, *self.items.values()]:
            if more := refusal.keys() - allowed:
                raise ValueError(f"a refusal has no {', '.join(more)}")
        return self

    async def take(self, stage: Stage) -> None:
        """Remember it."""
        turn = Turn(
            stage.filled(self.refuse), stage.filled(self.answer), self.lose, self.hold, stage.filled(self.items)
        )
        self._scheduler(stage).plan(self.next, turn, self.times)


@step
class LetGo(OnScheduler):
    """Answer what is held."""

    verb: ClassVar[str] = "let_go"
    let_go: Literal[True]

    async def take(self, stage: Stage) -> None:
        """Do so."""
        self._scheduler(stage).let_go()


@step
class Put(OnScheduler):
    """Create or change a task at the scheduler; `put` is its id."""

    verb: ClassVar[str] = "put"
    put: str
    count: int | None = None
    """Tasks `$task1` to that many instead of one."""
    fields: dict[str, Any] = Field(alias="with")

    @field_validator("fields")
    @classmethod
    def _fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        build(task_pb2.Task(), value)
        return value

    async def take(self, stage: Stage) -> None:
        """Write it, and let every replica look."""
        ids = [self.put] if self.count is None else [f"$task{place}" for place in range(1, self.count + 1)]
        for id in map(stage.filled, ids):
            self._scheduler(stage).put(id, stage.filled(self.fields))
        for other in stage.schedulers.values():
            await other.tell()


@step
class Submitted(OnScheduler):
    """A task was submitted, in whichever call; each is met once."""

    verb: ClassVar[str] = "submitted"
    submitted: Pattern
    within: Seconds = WITHIN
    times: int = 1

    @field_validator("submitted")
    @classmethod
    def _fields(cls, value: Any) -> Any:
        check(task_pb2.TaskSpec.DESCRIPTOR, value)
        return value

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        scheduler, wanted = self._scheduler(stage), stage.filled(self.submitted)
        told = "no task was submitted"

        def look() -> bool | None:
            nonlocal told
            for spec, met in scheduler.specs:
                if met[0]:
                    continue
                differs = difference(wanted, spec, stage.names)
                if differs is None:
                    met[0] = True
                    return True
                told = differs
            return None

        try:
            for _ in range(self.times):
                await stage.until(scheduler.changed, look, self.within, "")
        except StepFailed:
            raise StepFailed(told) from None


@step
class NotSubmitted(OnScheduler):
    """No task was submitted that a step has not met."""

    verb: ClassVar[str] = "not_submitted"
    not_submitted: Literal[True]
    duration: Seconds = Field(0.3, alias="for")

    async def take(self, stage: Stage) -> None:
        """Watch."""
        scheduler = self._scheduler(stage)

        def look() -> dict[str, Any] | None:
            return next((spec for spec, met in scheduler.specs if not met[0]), None)

        if (found := await stage.never(scheduler.changed, look, self.duration)) is not None:
            raise StepFailed(f"a task was submitted: {found}")


@step
class Called(OnScheduler):
    """A call of this kind has come, or comes, whose request and end are these; each is met once."""

    verb: ClassVar[str] = "called"
    called: str
    request: Pattern = None
    metadata: Pattern = None
    ended: Literal["answered", "refused", "lost", "abandoned"] | None = None
    within: Seconds = WITHIN
    times: int = 1

    @model_validator(mode="after")
    def _valid(self) -> Self:
        _known_method(self.called)
        if self.request is not None and f"{self.called}Request" not in ("submitRequest", "watchRequest"):
            check(cast("Descriptor", message_class(f"{self.called}Request").DESCRIPTOR), self.request)
        return self

    def _fits(self, stage: Stage, call: Call) -> bool:
        if call.used or call.kind != self.called or (self.ended is not None and call.ended != self.ended):
            return False
        wanted = stage.filled({"request": self.request or {}, "metadata": self.metadata or {}})
        return difference(wanted, {"request": call.request, "metadata": call.metadata}, stage.names) is None

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        scheduler = self._scheduler(stage)

        def look() -> bool | None:
            for call in scheduler.calls:
                if self._fits(stage, call):
                    call.used = True
                    return True
            return None

        for _ in range(self.times):
            try:
                await stage.until(scheduler.changed, look, self.within, "")
            except StepFailed:
                came = [(call.rpc, call.request, call.ended) for call in scheduler.calls if call.kind == self.called]
                raise StepFailed(f"no such call within {self.within:g} s; there were {came!r:.1500}") from None


@step
class OpenWatches(OnScheduler):
    """At most so many calls that wait for tasks are open, and `of` tasks are waited for; or soon."""

    verb: ClassVar[str] = "open_watches"
    open_watches: int
    of: int
    within: Seconds = WITHIN

    async def take(self, stage: Stage) -> None:
        """Wait until it is so."""
        scheduler = self._scheduler(stage)
        calls = ids = 0

        def look() -> bool | None:
            nonlocal calls, ids
            waiting = [call for call in scheduler.calls if call.kind == "watch" and not call.ended]
            calls = len(waiting)
            ids = len({id for call in waiting for id in call.request.get("ids", [call.request.get("id")])})
            return (ids == self.of and calls <= self.open_watches) or None

        try:
            await stage.until(scheduler.changed, look, self.within, "")
        except StepFailed:
            raise StepFailed(f"{calls} calls wait for {ids} tasks") from None


# At the doors


class AtDoor(Step):
    """A step at the door of a dispatcher or scheduler."""

    def _server(self, stage: Stage, name: str) -> Any:
        return stage.dispatchers.get(name) or stage.schedulers[name]


@step
class DoorStep(AtDoor):
    """Change a door: `open`, `slam`, `silent` or `away`."""

    verb: ClassVar[str] = "door"
    door: str
    manner: Literal["open", "slam", "silent", "away"] = Field(alias="is")

    async def take(self, stage: Stage) -> None:
        """Change it."""
        if self.door in stage.dispatchers:
            await stage.dispatchers[self.door].become(self.manner)
        else:
            await stage.schedulers[self.door].door.become(self.manner)


@step
class Cut(AtDoor):
    """Break all connections to a server without a word, as when it is killed."""

    verb: ClassVar[str] = "cut"
    cut: str

    async def take(self, stage: Stage) -> None:
        """Break them."""
        if self.cut in stage.dispatchers:
            stage.dispatchers[self.cut].cut()
        else:
            stage.schedulers[self.cut].door.cut()


@step
class Knocks(AtDoor):
    """So many connections have come that no such step has met, or come.

    With `first` and `last`, the waits between them, but for `free` of them at first, are as the protocol says: the n-th
    is drawn evenly from half of to the whole of `min(last, first * 2^n)`.
    """

    verb: ClassVar[str] = "knocks"
    knocks: int
    door: str = "a"
    within: Seconds = WITHIN
    free: int = 0
    first: Seconds | None = None
    last: Seconds = 2.0

    async def take(self, stage: Stage) -> None:
        """Wait for them and measure."""
        door = self._server(stage, self.door).door

        def look() -> list[float] | None:
            return door.knocks[: self.knocks] if len(door.knocks) >= self.knocks else None

        times = await stage.until(door.changed, look, self.within, f"{self.knocks} connections")
        del door.knocks[: self.knocks]
        if self.first is not None:
            self._measure([later - earlier for earlier, later in pairwise(times)], stage.patience)

    def _measure(self, gaps: list[float], patience: float) -> None:
        if any(gap > _QUICK * patience for gap in gaps[: self.free]):
            raise StepFailed(f"the first waits were {gaps[: self.free]}, not none")
        shares = []
        for place, gap in enumerate(gaps[self.free :]):
            most = min(self.last, (self.first or 0) * 2**place)
            if gap < most / 2 * 0.9 or gap > most * 1.1 + _QUICK * patience:
                raise StepFailed(f"wait {place + 1} was {gap:.3f} s, not {most / 2:.3f} to {most:.3f} s")
            if most >= _LONG:
                shares.append(gap / most)
        # If they are drawn as they should, five are so close to each other, or to the whole, once in 10,000 times.
        if len(shares) >= 5 and (max(shares) - min(shares) < 0.03 or min(shares) > 0.92):
            raise StepFailed(f"the waits are {shares} of what they may be: they are not drawn")


_QUICK = 0.25
"""Seconds that opening a connection may take beside the wait."""
_LONG = 0.2
"""Seconds from which a wait is large beside what the connection costs."""
