"""Where a store's data is: a directory, or a volume in memory that can be full."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

from chaos.backends.cluster import Unsupported
from chaos.backends.local.process import Command, Process, kill_occupants

# Prints where it is mounted once it is, then holds the namespace and with it the volume.
_MOUNT = 'mount -t tmpfs -o size="$1",mode=700 tmpfs "$2" && touch "$2/.mounted" && exec sleep infinity'


class Place:
    """A directory for the data of one store.

    With `size` it is a volume of that many bytes in a mount namespace of its own, seen by nobody but the
    processes that `enter` it; so nothing stays mounted, whatever happens to this process. The volume outlives the
    store's process, as a disk would.
    """

    def __init__(self, directory: Path, log: Path, size: int = 0) -> None:
        self.directory = directory
        self._log = log
        self._size = size
        self._holder: Process | None = None

    async def make(self) -> None:
        """Makes it, empty."""
        self.directory.mkdir(parents=True, mode=0o700)  # Postgres insists
        if not self._size:
            return
        argv = ("sh", "-c", _MOUNT, "sh", str(self._size), str(self.directory))
        command = Command(argv, os.environ, self._log, enter=("unshare", "--mount", "--propagation", "private"))
        self._holder = await Process.start(command)
        while not (self.path / ".mounted").exists():
            if self._holder.pid is None:
                raise self._holder.failure("could not mount a volume")
            await asyncio.sleep(0.01)
        (self.path / ".mounted").unlink()

    async def close(self) -> None:
        """Ends the volume, and whatever still works in it."""
        await kill_occupants(self.directory)
        if self._holder is not None:
            await self._holder.stop(signal.SIGKILL, 5)

    @property
    def enter(self) -> tuple[str, ...]:
        """What to put before a command that works here."""
        if self._holder is None:
            return ()
        return ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wdns={self.directory}", "--")

    @property
    def path(self) -> Path:
        """The directory as this process sees it."""
        if self._holder is None:
            return self.directory
        return Path(f"/proc/{self._holder.pid}/root") / self.directory.relative_to("/")

    def clear(self) -> None:
        """Deletes everything."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    async def fill(self) -> None:
        """Makes the volume as small as what it holds."""
        if self._holder is None:
            raise Unsupported("a full disk needs volumes: volume_bytes, and root on Linux")
        for _ in range(20):
            volume = os.statvfs(self.path)
            used = (volume.f_blocks - volume.f_bfree) * volume.f_frsize
            if await self._resize(max(used, volume.f_frsize)):  # 0 would mean no limit
                return
        raise Unsupported(f"{self.directory} grows faster than it can be made small")

    async def relieve(self) -> None:
        """Gives the volume its size back; nothing happens when it has it."""
        if self._holder is not None and not await self._resize(self._size):
            raise Unsupported(f"{self.directory} cannot be given its size back")

    async def _resize(self, size: int) -> bool:
        argv = ("mount", "-o", f"remount,size={size}", str(self.directory))
        process = await Process.start(Command(argv, os.environ, self._log, enter=self.enter))
        return await process.wait() == 0
