"""One process: how it is started, signalled and ended, together with all that it started."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

OCCUPANTS_SECONDS = 10.0
# Put right before a program: the kernel kills it when this process ends, however it ends.
DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True)
class Command:
    """What to run. `enter` comes before it, and leads into namespaces. `environment` is all that it gets."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    directory: Path | None = None
    enter: tuple[str, ...] = ()


class ProcessFailed(Exception):
    """A process did not do its part; the text ends with the last lines of its log."""


class Process:
    """A running process, in a session of its own."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self._process = process

    @classmethod
    async def start(cls, command: Command) -> "Process":
        """Starts it; call this in the main thread, with whose end the kernel ends the process."""
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command.enter,
                *DIE_WITH_US,
                *command.argv,
                cwd=command.directory,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return cls(command, process)

    @property
    def number(self) -> int:
        """Its process id, also after its end."""
        return self._process.pid

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process.returncode is None else None

    async def wait(self) -> int:
        """Waits for its end; returns the exit code, or minus the signal."""
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process itself; nothing happens when it has ended."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants, it first."""
        if self.pid is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(self.pid)
            return [head, *head.children(recursive=True)]
        return []

    def send_to_family(self, number: signal.Signals) -> None:
        """Sends a signal to the process and to all its descendants."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    async def stop(self, number: signal.Signals, grace: float) -> None:
        """Asks the process to end, kills it and its descendants when it has not after `grace` seconds."""
        self.send(number)
        self.send_to_family(signal.SIGCONT)  # a stopped process would not see the request
        try:
            async with asyncio.timeout(grace):
                await self.wait()
        except TimeoutError:
            self.send_to_family(signal.SIGKILL)
            await self.wait()

    def failure(self, what: str) -> ProcessFailed:
        """An error that says `what`, and how the log ends."""
        return ProcessFailed(f"{self.command.argv[0]} {what}; {self.command.log} ends:\n{tail(self.command.log)}")


async def run(command: Command, timeout: float = 120.0) -> None:
    """Runs a command to its end. Raises ProcessFailed when it fails or takes longer than `timeout` seconds."""
    process = await Process.start(command)
    try:
        async with asyncio.timeout(timeout):
            code = await process.wait()
    except TimeoutError:
        raise process.failure(f"took longer than {timeout:g} s") from None
    finally:
        await process.stop(signal.SIGKILL, 5)
    if code != 0:
        raise process.failure(f"ended with {code}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65536))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


async def kill_occupants(directory: Path) -> None:
    """Kills what still works in a data directory after its server's end, such as stopped backends of Postgres."""
    killed: list[psutil.Process] = []
    for process in psutil.process_iter():
        # Gone meanwhile, or another user's and so not of ours.
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            if process.cwd() == str(directory):
                process.kill()
                killed.append(process)
    await asyncio.to_thread(psutil.wait_procs, killed, OCCUPANTS_SECONDS)
