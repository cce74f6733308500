"""Namespaces of Linux that last as long as a process that only waits in them."""

import asyncio
import os
import shutil
import subprocess
from typing import Self

PROGRAMS = ("ip", "mount", "nsenter", "openssl", "setpriv", "sh", "unshare")

# /proc is still that of the machine, so the shell reads its own number there as the machine counts. Its input ends when
# the test closes it or is no more, and then all that runs here ends with its first process.
_WAIT = 'hostname "$0"; read -r pid rest </proc/self/stat; echo "$pid"; exec cat'


def obstacle() -> str | None:
    """Why pods cannot be started on this machine, None if they can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"no {', '.join(missing)} on this machine"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    attempt = subprocess.run(
        ["unshare", "--net", "--uts", "--ipc", "--pid", "--mount", "--fork", "ip", "link", "add", "type", "veth"],
        capture_output=True,
        check=False,
        text=True,
    )
    return None if attempt.returncode == 0 else f"no namespaces here: {attempt.stderr.strip()}"


class Namespaces:
    """Network, host name, IPC and processes of their own; whatever runs in them ends with them, or with the test."""

    def __init__(self, waiting: asyncio.subprocess.Process, pid: int) -> None:
        self._waiting = waiting
        self.pid = pid
        """The process that waits inside, the first there."""

    @classmethod
    async def make(cls, hostname: str) -> Self:
        """New ones."""
        command = ("unshare", "--net", "--uts", "--ipc", "--pid", "--fork", "sh", "-ec", _WAIT, hostname)
        waiting = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert waiting.stdout is not None
        return cls(waiting, int(await waiting.stdout.readline()))

    def command(self, *command: str) -> tuple[str, ...]:
        """What runs a command in them."""
        return ("nsenter", f"--target={self.pid}", "--net", "--uts", "--ipc", "--pid", "--", *command)

    async def close(self) -> None:
        """End all that runs in them."""
        await self._waiting.communicate(b"")
