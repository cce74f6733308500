"""What a case acts on: its dispatchers, its schedulers and the testee, and the names it has kept."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc

from conformance import referee
from conformance.dispatcher import Dispatcher, Stream
from conformance.scheduler import Scheduler, task_id
from conformance.testee_process import Testee, TesteeError
from taskyard_core.wire.gen import task_pb2

T = TypeVar("T")

_NAME = re.compile(r"\$([a-z]+)([0-9]*)")


class StepFailed(Exception):
    """The testee did something else than the step says, or nothing in time."""


class Stage:
    """Everything of one run of one case."""

    def __init__(
        self, command: Sequence[str], home: Path, environment: Mapping[str, str], directory: Path, patience: float
    ) -> None:
        self._command = command
        self._home = home
        self._environment = environment
        self.patience = patience
        self.directory = directory
        """Files of this run: certificates."""
        self.testee = Testee(command, home, {})
        self.dispatchers: dict[str, Dispatcher] = {}
        self.schedulers: dict[str, Scheduler] = {}
        self.names: dict[str, Any] = {}
        """What patterns have saved."""
        self.commands: dict[str, int] = {}
        """Numbers of commands that a step did not wait for."""
        self.lives: list[dict[str, int]] = []
        """For each testee of the case that is over: how many streams each dispatcher had seen."""

    async def open(
        self, dispatchers: Sequence[Dispatcher], schedulers: Sequence[str], credentials: grpc.ServerCredentials | None
    ) -> None:
        """Start all; the testee last."""
        self.dispatchers = {dispatcher.name: dispatcher for dispatcher in dispatchers}
        tasks: dict[str, task_pb2.Task] = {}
        self.schedulers = {name: Scheduler(name, tasks, credentials) for name in schedulers}
        for server in self._servers():
            await server.start()
        await self._start()

    async def _start(self) -> None:
        self.testee = Testee(self._command, self._home, self.filled(dict(self._environment)))
        await self.testee.start()

    async def close(self) -> None:
        """End all."""
        await self.testee.stop()
        for server in self._servers():
            await server.stop()

    def _servers(self) -> list[Dispatcher | Scheduler]:
        return [*self.dispatchers.values(), *self.schedulers.values()]

    async def restart(self) -> None:
        """Kill the testee and start another one."""
        await self.testee.stop()
        self.lives.append({name: len(dispatcher.streams) for name, dispatcher in self.dispatchers.items()})
        self.commands.clear()
        await self._start()

    def filled(self, value: Any) -> Any:
        """The value with what is meant in place of what is written.

        `$a` is the address of dispatcher or scheduler a, `$task1` the first task's id, `$dir` the directory of the
        run's files; `{$repeat: [text, n]}` is the text n times, `{$times: [n, item]}` a list of n such items.
        """
        match value:
            case str():
                return _NAME.sub(self._name, value)
            case {"$repeat": [str(text), int(times)]}:
                return text * times
            case {"$times": [int(times), item]}:
                return [self.filled(item)] * times
            case dict():
                return {key: self.filled(item) for key, item in value.items()}
            case list():
                return [self.filled(item) for item in value]
        return value

    def _name(self, found: re.Match[str]) -> str:
        name = found[1]
        if name == "task" and found[2]:
            return task_id(int(found[2]))
        if name == "dir":
            return str(self.directory)
        if server := self.dispatchers.get(name + found[2]) or self.schedulers.get(name + found[2]):
            return server.door.address
        if found[0][1:] in self.names:
            return str(self.names[found[0][1:]])
        return found[0]

    async def until(self, changed: asyncio.Condition, look: Callable[[], T | None], within: float, what: str) -> T:
        """What `look` finds, as soon as it does; raises StepFailed with what did not come within so many seconds."""
        self.check_testee()
        async with changed:
            try:
                async with asyncio.timeout(within * self.patience):
                    while (found := look()) is None:
                        await changed.wait()
                    return found
            except TimeoutError:
                raise StepFailed(f"{what} did not come within {within:g} s") from None
            finally:
                self.check_testee()

    async def never(self, changed: asyncio.Condition, look: Callable[[], T | None], duration: float) -> T | None:
        """What `look` finds within so many seconds, which it shall not; None if it finds nothing."""
        try:
            # Patience is for what has to happen.
            return await self.until(changed, look, duration / self.patience, "")
        except StepFailed:
            return None

    def check_testee(self) -> None:
        """Raise TesteeError if the testee has broken its protocol."""
        if self.testee.broken:
            raise TesteeError(self.testee.broken)

    def violations(self) -> list[str]:
        """What the referee says of each worker of the case."""
        told: list[str] = []
        for streams in self._by_worker():
            told += referee.violations(streams)
        return told

    def _by_worker(self) -> list[list[Stream]]:
        """Streams of each worker in the order they were opened: one worker is one name in one life of a testee."""
        workers: dict[tuple[int, str], list[Stream]] = {}
        for name, dispatcher in self.dispatchers.items():
            for number, stream in enumerate(dispatcher.streams):
                life = sum(number >= seen[name] for seen in self.lives)
                workers.setdefault((life, stream.hello.get("worker", "")), []).append(stream)
        return [sorted(streams, key=lambda stream: stream.opened) for streams in workers.values()]
