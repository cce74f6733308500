"""What the supervisor and the tests ask of a store, whichever server it is."""

import asyncio
import importlib.util
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from taskyard_server.dev.occupant import wait_until_left
from taskyard_server.dev.process import Process, ProcessSpec, exit_text
from taskyard_server.dev.secret import close, kept

READY_TIMEOUT_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.03


def plain_environment(*foreign_prefixes: str) -> dict[str, str]:
    """This process's environment without the variables that would configure a server behind us."""
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign_prefixes)}


class MissingProgramError(RuntimeError):
    """A store's server is not installed."""


def packaged_program(package: str, pattern: str) -> Path:
    """The program that matches `pattern` inside an installed package, which is not imported.

    Raises MissingProgramError when it is not there.
    """
    found = importlib.util.find_spec(package)
    directories = () if found is None else found.submodule_search_locations or ()
    for directory in directories:
        for program in Path(directory).resolve().glob(pattern):
            return program
    raise MissingProgramError(
        f"{package} is not installed for this machine: install taskyard-server[dev], "
        "or give the address of a store of your own"
    )


class Store(ABC):
    """A store's real server as a child process, with its data under one directory.

    Started again on the same directory it finds its data, also after SIGKILL.
    """

    role: str
    stop_signal = signal.SIGTERM
    # Seconds that a graceful stop may take before the server is killed.
    stop_grace = 30.0

    def __init__(
        self,
        directory: Path,
        *,
        log: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory.resolve()
        self.log = log or self.directory.with_suffix(".log")
        self._clock = clock
        self._process: Process | None = None

    @property
    @abstractmethod
    def binary(self) -> Path:
        """The server's program."""

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client is given to reach the store."""

    @property
    @abstractmethod
    def addresses(self) -> Mapping[str, str]:
        """The store's entry in cluster.json."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether the server does a client's bidding now."""

    @abstractmethod
    def _spec(self) -> ProcessSpec: ...

    def _child(self, *argv: str, environment: Mapping[str, str]) -> ProcessSpec:
        return ProcessSpec(
            name=self.role,
            role=self.role,
            argv=argv,
            environment=environment,
            log=self.log,
            addresses=self.addresses,
            directory=self.directory,
            death_signal=self.stop_signal,
        )

    def secret(self, whose: str) -> str:
        """A password of one of the store's users, kept beside its directory."""
        return kept(self.directory.with_name(f"{self.directory.name}.{whose}.secret"))

    async def _prepare(self) -> None:
        close(self.directory)
        await wait_until_left(self.binary, self.directory, clock=self._clock)

    @property
    def process(self) -> Process:
        """The child of the last start. Raises RuntimeError before the first."""
        if self._process is None:
            raise RuntimeError(f"{self.role} was not started")
        return self._process

    @property
    def pid(self) -> int | None:
        """Process id of the server itself, None before the first start."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.running

    async def start(self) -> None:
        """Starts the server, on its old data when there is some; does not wait until it answers.

        Raises ProcessError when it already runs or its directory cannot be made, OccupiedError
        when another server works in the directory.
        """
        if self._process is not None and self._process.running:
            raise self._process.failure("already runs")
        await self._prepare()
        self._process = Process(self._spec(), clock=self._clock)
        self._process.start()

    async def wait_ready(self, timeout: float = READY_TIMEOUT_SECONDS) -> None:
        """Waits until the server answers.

        Raises ProcessError when it ends meanwhile or `timeout` seconds have passed.
        """
        deadline = self._clock() + timeout
        while not await self.answers():
            if not self.running:
                raise self.process.failure(f"ended {exit_text(self.process.exit_code)}")
            if self._clock() > deadline:
                raise self.process.failure(f"did not answer within {timeout:g} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def stop(self) -> None:
        """Shuts the server down in good order; nothing happens when it does not run."""
        if self._process is not None:
            await self._process.stop(grace=self.stop_grace, number=self.stop_signal)

    def kill(self) -> None:
        """Ends the server at once (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.kill()
