"""Wall clocks that can be moved while a process runs.

Only a part whose clock is to jump runs with libfaketime: under it gRPC's waiting costs a worker seven times as much.
"""

from pathlib import Path

from chaos.backends.cluster import Role, Unsupported
from chaos.backends.local.program import faketime_library

SHARED_MEMORY = Path("/dev/shm")
# etcd is a Go program and asks the kernel itself.
ROLES = frozenset(Role) - {Role.ETCD}


class Clocks:
    """One file for each part, which libfaketime reads again at most a second after it changed."""

    def __init__(self, directory: Path, *, wanted: bool) -> None:
        self._directory = directory
        self._library = faketime_library() if wanted else None

    @property
    def available(self) -> bool:
        """Whether `set` works."""
        return self._library is not None

    def environment(self, name: str, role: Role) -> dict[str, str]:
        """What a part's process needs so that its clock can be moved, if `set` was called for it."""
        if self._library is None or role not in ROLES or not self.moved(name):
            return {}
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }

    def set(self, name: str, role: Role, seconds: float) -> None:
        """Moves a part's clock that far from the true time. Raises Unsupported."""
        if self._library is None:
            raise Unsupported("clock jumps need `clocks`, and libfaketime from the system or from `make tools`")
        if role not in ROLES:
            raise Unsupported(f"the clock of {name} cannot be moved: it does not ask libc for the time")
        self._directory.mkdir(parents=True, exist_ok=True)
        fresh = self._file(name).with_suffix(".new")
        fresh.write_text(f"{seconds:+.3f}\n")
        fresh.replace(self._file(name))

    def moved(self, name: str) -> bool:
        """Whether a part's process, if it was started since, has a clock that can be moved."""
        return self._file(name).exists()

    def leave(self, name: str) -> None:
        """From its next start on, a part goes by the true time and nothing else."""
        self._file(name).unlink(missing_ok=True)

    @staticmethod
    def forget(pid: int) -> None:
        """Removes what the library made for a process that was killed."""
        for name in (f"sem.faketime_sem_{pid}", f"faketime_shm_{pid}"):
            (SHARED_MEMORY / name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._directory / name
