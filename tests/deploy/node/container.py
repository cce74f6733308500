"""One run of a container: a process that is the first of its own, sees its image's files only, and may do little."""

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.deploy.node.namespaces import Namespaces

DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Mount:
    """A file or directory of the machine, and where the container finds it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Process:
    """What a container runs, as whom, and what it is given."""

    command: Sequence[str]
    environment: Mapping[str, str]
    user: int
    group: int
    directory: str = "/"
    mounts: Sequence[Mount] = field(default_factory=tuple)
    stop_signal: signal.Signals = signal.SIGTERM


class Container:
    """A process that was started, until it is over."""

    def __init__(self, outer: asyncio.subprocess.Process, pid: int, process: Process) -> None:
        self._outer = outer
        self._handle = os.pidfd_open(pid)
        self._process = process
        self.pid = pid

    @classmethod
    async def start(cls, namespaces: Namespaces, process: Process, root: Path, log: Path) -> Self:
        """Start it, with an empty directory for a root; what it prints is added to the log."""
        reader, writer = os.pipe()
        script = _script(process, root)
        command = namespaces.command(
            *("setpriv", "--no-new-privs", "unshare", "--mount", "--pid", "--fork", "--", "sh", "-ec", script)
        )
        with log.open("ab") as output:
            outer = await asyncio.create_subprocess_exec(
                *command, env=dict(process.environment), stdin=writer, stdout=output, stderr=output
            )
        os.close(writer)
        pid = await asyncio.to_thread(os.read, reader, 32)
        os.close(reader)
        assert pid, f"not started: see {log}"
        return cls(outer, int(pid), process)

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal; nothing happens when it is over."""
        try:
            signal.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            return

    def stop(self) -> None:
        """Ask it to end."""
        self.signal(self._process.stop_signal)

    async def wait(self) -> int:
        """Its exit code, negative for a signal, once it is over."""
        return await self._outer.wait()

    async def ended(self, within: float) -> bool:
        """Whether it is over within so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self.wait()
        except TimeoutError:
            return False
        return True

    async def run(self, *command: str) -> int:
        """Run a command inside as the same user; returns its exit code."""
        inside = ("--mount", "--net", "--uts", "--ipc", "--pid", "--root", f"--wd={self._process.directory}")
        who = (f"--setuid={self._process.user}", f"--setgid={self._process.group}")
        started = await asyncio.create_subprocess_exec(
            *("nsenter", f"--target={self.pid}", *inside, *who, "--", *command),
            env=dict(self._process.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return await started.wait()

    def peak_memory(self) -> int:
        """The most bytes of memory that its first process has had; 0 when it is over."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peaks[0]) * 1024 if peaks else 0

    def close(self) -> None:
        """Forget it; for when it is over."""
        os.close(self._handle)


def _script(process: Process, root: Path) -> str:
    """Tells its number as the machine counts on what is its input, puts the root together, and becomes the process."""
    into = shlex.quote(str(root))
    lines = [
        'read -r pid rest </proc/self/stat; echo "$pid" >&0; exec </dev/null',
        f"mount -t tmpfs -o mode=755 root {into}",
        f"cd {into}",
        "ln -s usr/lib lib; ln -s usr/lib64 lib64; ln -s usr/bin bin",
        "mkdir -p proc dev/shm ." + shlex.quote(process.directory),
        "mount -t proc proc proc",
        "mount -t tmpfs -o mode=1777,size=64m shm dev/shm",
        *(_bound(Mount(Path("/dev") / device, f"/dev/{device}", writable=True)) for device in DEVICES),
        *map(_bound, process.mounts),
        f"mount -o remount,ro {into}",
    ]
    who = ["--root=.", f"--wd={process.directory}", f"--setgid={process.group}", f"--setuid={process.user}"]
    return "\n".join([*lines, shlex.join(["exec", "unshare", *who, "--", *process.command])])


def _bound(mount: Mount) -> str:
    source, target = shlex.quote(str(mount.source)), shlex.quote(f".{mount.target}")
    made = (
        f"mkdir -p {target}"
        if mount.source.is_dir()
        else f"mkdir -p {shlex.quote(str(Path(f'.{mount.target}').parent))}; [ -e {target} ] || : >{target}"
    )
    return f"{made}; mount --bind{'' if mount.writable else ' -o ro'} {source} {target}"
