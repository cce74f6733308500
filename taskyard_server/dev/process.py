"""A child process of the supervisor: how it is started, watched and ended."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskyard_server.dev import launch

LOOK_EVERY_SECONDS = 0.02
# A longer log is put aside at the next start, in place of the one put aside before.
LOG_LIMIT_BYTES = 32 * 1024**2


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """What to run and what to call it.

    `environment` is the whole environment of the child. `log` receives its output, appended.
    `addresses` is what others can reach it by, as shown in cluster.json. `death_signal` is what the
    child gets when the supervisor dies without stopping it (Linux). `user_id` is the user to become
    when the supervisor is root.
    """

    name: str
    role: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    addresses: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    death_signal: signal.Signals = signal.SIGKILL
    user_id: int = launch.KEEP_USER


def exit_text(code: int | None) -> str:
    """An exit code in words: "with code 1", "by SIGKILL"."""
    return f"with code {code}" if code is None or code >= 0 else f"by {signal.Signals(-code).name}"


class ProcessError(RuntimeError):
    """A child could not do its part; the text names it and ends with the last lines of its log."""


class Process:
    """One child at a time for one spec, in a session of its own so that Ctrl-C does not reach it.

    Start it from a thread that lives as long as the child should: the kernel takes the end of that
    thread for the end of the supervisor. `clock` gives seconds and only has to rise.
    """

    def __init__(self, spec: ProcessSpec, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec = spec
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the child. Raises ProcessError when the last one runs, OSError when refused."""
        if self.running:
            raise ProcessError(f"{self.spec.name} already runs as process {self.pid}")
        self._make_room_for_log()
        with self.spec.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command(),
                cwd=self.spec.directory,
                env=dict(self.spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Process id of the last child started, None before the first."""
        return None if self._child is None else self._child.pid

    @property
    def running(self) -> bool:
        """Whether a child was started and has not ended."""
        return self._child is not None and self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """How the last child ended: its exit code, or minus the signal that ended it; else None."""
        if self._child is None:
            return None
        if self._child.returncode is None and self._has_ended(self._child.pid):
            # While the ended child is not reaped its number cannot name a stranger's group.
            self._end_group(self._child.pid)
            self._child.wait()
        return self._child.returncode

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the child; nothing happens when none runs."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def kill(self) -> None:
        """Ends the child at once (SIGKILL)."""
        self.send(signal.SIGKILL)

    async def wait(self, timeout: float) -> int:
        """Waits at most `timeout` seconds for the exit code. Raises TimeoutError."""
        if self._child is None:
            raise ProcessError(f"{self.spec.name} was not started")
        deadline = self._clock() + timeout
        while (code := self.exit_code) is None:
            if self._clock() > deadline:
                raise TimeoutError(f"{self.spec.name} still runs after {timeout:g} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return code

    async def stop(self, *, grace: float, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks the child to end by signal `number`, and kills it after `grace` seconds."""
        if not self.running:
            return
        self.send(number)
        # A stopped (SIGSTOP) child would not see the request.
        self.send(signal.SIGCONT)
        try:
            await self.wait(grace)
        except TimeoutError:
            self.kill()
            await self.wait(grace)

    def log_tail(self, lines: int = 15) -> str:
        """The last `lines` lines of the child's log; empty when there is none yet."""
        if not self.spec.log.exists():
            return ""
        with self.spec.log.open("rb") as log:
            log.seek(max(0, self.spec.log.stat().st_size - 65536))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def failure(self, what: str) -> ProcessError:
        """An error for this child that says `what`, where its log is and how that ends."""
        return ProcessError(f"{self.spec.name} {what}; see {self.spec.log}\n{self.log_tail()}")

    def _make_room_for_log(self) -> None:
        log = self.spec.log
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))

    def _command(self) -> list[str]:
        spec = self.spec
        shim = [sys.executable, "-I", "-S", launch.__file__]
        return [*shim, str(os.getpid()), str(int(spec.death_signal)), str(spec.user_id), *spec.argv]

    @staticmethod
    def _has_ended(pid: int) -> bool:
        peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, pid, peek) is not None

    @staticmethod
    def _end_group(pid: int) -> None:
        # Processes that the child started and left behind go with it. macOS answers EPERM for a
        # group in which only the ended child is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
