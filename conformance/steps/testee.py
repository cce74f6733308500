"""Steps that act on the testee and look at what it tells."""

import asyncio
import os
import signal
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from conformance.pattern import difference
from conformance.stage import Stage, StepFailed
from conformance.steps.base import WITHIN, Pattern, Seconds, Step, step


def judge(stage: Stage, reply: dict[str, Any], gives: Any, fails: Any) -> None:
    """Raise StepFailed unless the reply is the one that was expected."""
    if fails is not None:
        if "error" not in reply:
            raise StepFailed(f"it was answered with {reply['ok']!r:.500}, not with an error")
        told = difference(stage.filled(fails), reply["error"], stage.names)
    elif "ok" not in reply:
        told = f"it was answered with an error: {reply['error']}"
    else:
        told = difference(stage.filled(gives or {}), reply["ok"], stage.names)
    if told:
        raise StepFailed(f"the reply: {told}")


async def _reply(stage: Stage, number: int, within: float) -> dict[str, Any]:
    testee = stage.testee

    def look() -> dict[str, Any] | None:
        if number not in testee.replies and testee.ended:
            raise StepFailed(f"the testee has ended with {testee.exit_code}")
        return testee.replies.get(number)

    return await stage.until(testee.changed, look, within, "the reply")


@step
class Do(Step):
    """Hand the testee a command; its fields stand beside. `as` names it and goes on without the reply."""

    verb: ClassVar[str] = "do"
    model_config = ConfigDict(extra="allow", frozen=True)

    do: str
    named: str | None = Field(None, alias="as")
    gives: Pattern = None
    fails: Pattern = None
    within: Seconds = WITHIN
    times: int = 1

    async def take(self, stage: Stage) -> None:
        """Hand it over."""
        for place in range(1, self.times + 1):
            fields = stage.filled(_numbered(self.model_extra or {}, place))
            if isinstance(fields.get("of"), str):
                fields["of"] = stage.commands[fields["of"]]
            number = await stage.testee.command(self.do, fields)
            if self.named is None:
                judge(stage, await _reply(stage, number, self.within), self.gives, self.fails)
            else:
                stage.commands[self.named if self.times == 1 else f"{self.named}{place}"] = number


def _numbered(value: Any, place: int) -> Any:
    match value:
        case str():
            return value.replace("$n", str(place)) if value.endswith("$n") else value
        case dict():
            return {key: _numbered(item, place) for key, item in value.items()}
        case list():
            return [_numbered(item, place) for item in value]
    return value


@step
class Reply(Step):
    """The reply to a command that was named, or with `times` to as many."""

    verb: ClassVar[str] = "reply"
    reply: str
    gives: Pattern = None
    fails: Pattern = None
    within: Seconds = WITHIN
    times: int = 1

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        names = [self.reply] if self.times == 1 else [f"{self.reply}{place}" for place in range(1, self.times + 1)]
        for name in names:
            judge(stage, await _reply(stage, stage.commands[name], self.within), self.gives, self.fails)


@step
class Settles(Step):
    """A command is given again and again until it is answered like this."""

    verb: ClassVar[str] = "settles"
    settles: str
    gives: Pattern
    within: Seconds = WITHIN

    async def take(self, stage: Stage) -> None:
        """Ask, until it is so."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.within * stage.patience
        while True:
            reply = await _reply(stage, await stage.testee.command(self.settles, {}), self.within)
            try:
                judge(stage, reply, self.gives, None)
            except StepFailed as failed:
                if loop.time() > until:
                    raise StepFailed(f"{failed}; it was {stage.names}") from None
                await asyncio.sleep(0.1)
            else:
                return


@step
class NoReply(Step):
    """A command that was named is not answered for so long."""

    verb: ClassVar[str] = "no_reply"
    no_reply: str
    duration: Seconds = Field(0.3, alias="for")

    async def take(self, stage: Stage) -> None:
        """Watch."""
        number = stage.commands[self.no_reply]
        found = await stage.never(stage.testee.changed, lambda: stage.testee.replies.get(number), self.duration)
        if found is not None:
            raise StepFailed(f"the reply came: {found}")


@step
class Event(Step):
    """The testee tells of this; each event is met once, in any order."""

    verb: ClassVar[str] = "event"
    event: Pattern
    within: Seconds = WITHIN
    times: int = 1

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        for _ in range(self.times):
            await stage.until(
                stage.testee.changed, lambda: _meet(stage, self.event), self.within, f"event {self.event}"
            )


@step
class NoEvent(Step):
    """The testee has not told of this and does not for so long."""

    verb: ClassVar[str] = "no_event"
    no_event: Pattern
    duration: Seconds = Field(0.3, alias="for")

    async def take(self, stage: Stage) -> None:
        """Watch."""
        if await stage.never(stage.testee.changed, lambda: _meet(stage, self.no_event), self.duration):
            raise StepFailed(f"it came: an event {self.no_event}")


def _meet(stage: Stage, wanted: Any) -> bool | None:
    wanted = stage.filled(wanted)
    for place, event in enumerate(stage.testee.events):
        if difference(wanted, event, stage.names) is None:
            del stage.testee.events[place]
            return True
    if stage.testee.ended:
        raise StepFailed(f"the testee has ended with {stage.testee.exit_code}, before an event {wanted}")
    return None


@step
class Signal(Step):
    """Send the testee's process a signal."""

    verb: ClassVar[str] = "signal"
    signal: Literal["SIGTERM", "SIGINT", "SIGKILL", "SIGSTOP", "SIGCONT"]

    async def take(self, stage: Stage) -> None:
        """Send it."""
        stage.testee.signal(signal.Signals[self.signal])


@step
class Exits(Step):
    """The testee's process ends; with this code, if one is given, else with any but 0."""

    verb: ClassVar[str] = "exits"
    exits: int | Literal["not 0"]
    within: Seconds = WITHIN

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        testee = stage.testee
        await stage.until(testee.changed, lambda: testee.ended or None, self.within, "the end of the testee")
        if (testee.exit_code == 0) if self.exits == "not 0" else (testee.exit_code != self.exits):
            raise StepFailed(f"the testee has ended with {testee.exit_code}")


@step
class Restart(Step):
    """Kill the testee if it still runs, and start another one."""

    verb: ClassVar[str] = "restart"
    restart: Literal[True]

    async def take(self, stage: Stage) -> None:
        """Do so."""
        await stage.restart()


@step
class Gone(Step):
    """The process whose pid was saved under this name ends."""

    verb: ClassVar[str] = "gone"
    gone: str
    within: Seconds = WITHIN

    async def take(self, stage: Stage) -> None:
        """Wait for it."""
        pid = stage.names[self.gone]
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await asyncio.wait_for(ended.wait(), self.within * stage.patience)
        except TimeoutError:
            raise StepFailed(f"process {pid} is still there") from None
        finally:
            loop.remove_reader(handle)
            os.close(handle)


@step
class Unsaid(Step):
    """The testee has written nowhere, neither to stdout nor to stderr, what fits this name's value."""

    verb: ClassVar[str] = "unsaid"
    unsaid: str

    async def take(self, stage: Stage) -> None:
        """Look."""
        if stage.filled(self.unsaid) in stage.testee.said + str(stage.testee.events) + str(stage.testee.replies):
            raise StepFailed(f"{self.unsaid} was written")
