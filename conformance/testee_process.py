"""A testee: starts it, hands it commands, and keeps what it tells."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

READY = 30.0
"""Seconds that a testee has to say `ready`: some are compiled first."""
_LINE = 16 * 1024 * 1024


class TesteeError(Exception):
    """The testee does not keep its own protocol, or could not be started: no case has been tried."""


class Testee:
    """A testee's process."""

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._directory = directory
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: list[asyncio.Task[None]] = []
        self._numbers = 0
        self.features: frozenset[str] = frozenset()
        self.sdk = ""
        self.events: list[dict[str, Any]] = []
        """What it told that no step has met yet, oldest first."""
        self.replies: dict[int, dict[str, Any]] = {}
        self.said = ""
        """What it wrote to stderr."""
        self.broken = ""
        """How it broke the testee protocol."""
        self.changed = asyncio.Condition()
        self._ready = asyncio.Event()
        self.ended = False

    async def start(self) -> None:
        """Start it and wait for `ready`."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._directory,
                env={**os.environ, **self._environment},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE,
                process_group=0,
            )
        except OSError as error:
            raise TesteeError(f"{self._command[0]} can't be started: {error}") from error
        self._reading = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._overhear())]
        try:
            await asyncio.wait_for(self._ready.wait(), READY)
        except TimeoutError:
            raise TesteeError(f"the testee did not say ready within {READY:g} s\n{self.said}") from None
        if self.broken or self.ended:
            raise TesteeError(f"{self.broken or 'the testee ended before it was ready'}\n{self.said}")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended."""
        assert self._process is not None
        return self._process.returncode

    async def command(self, do: str, fields: Mapping[str, Any]) -> int:
        """Hand over a command; its number."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._numbers += 1
        line = json.dumps({**fields, "id": self._numbers, "do": do}, ensure_ascii=False)
        self._process.stdin.write(line.encode() + b"\n")
        try:
            await self._process.stdin.drain()
        except ConnectionError:
            self.broken = self.broken or "the testee has closed its stdin"
        return self._numbers

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        os.kill(self.pid, number)

    async def stop(self) -> None:
        """End it: its stdin is closed, and it is killed with all that it started if that is not enough."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        # What it has started may hold its pipes open; asyncio has no other way to let go of them.
        process._transport.close()  # type: ignore[attr-defined]

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                await self._hear(line)
        except ValueError as error:
            self.broken = f"a line of the testee is too long: {error}"
        await self._process.wait()
        async with self.changed:
            self.ended = True
            self.changed.notify_all()
        self._ready.set()

    async def _hear(self, line: bytes) -> None:
        async with self.changed:
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                self.broken = f"the testee wrote {line[:200]!r}: {type(error).__name__} {error}"
            self.changed.notify_all()

    def _take(self, told: dict[str, Any]) -> None:
        match told["event"]:
            case "ready":
                if told["protocol"] != 1:
                    raise ValueError("protocol is not 1")
                self.features = frozenset(told["features"])
                self.sdk = told["sdk"]
                self._ready.set()
            case "reply":
                if told.keys() - {"ok"} == told.keys() - {"error"} or told["id"] in self.replies:
                    raise ValueError("a reply has one of ok and error, once")
                self.replies[told["id"]] = told
            case _:
                self.events.append(told)

    async def _overhear(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(65536):
            self.said = (self.said + chunk.decode(errors="replace"))[-20_000:]
