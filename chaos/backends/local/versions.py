"""Earlier versions of the servers, taken from this checkout's own history."""

import asyncio
import io
import subprocess
import tarfile
from pathlib import Path

from chaos.backends.cluster import CURRENT, PREVIOUS, Unsupported
from chaos.backends.local.program import CHECKOUT


class Versions:
    """What PREVIOUS is: `revision`, or the last tag, or the commit before this one."""

    def __init__(self, directory: Path, revision: str | None) -> None:
        self._directory = directory
        self._revision = revision

    async def environment(self, version: str) -> dict[str, str]:
        """The variables with which Python finds that version's modules. Raises Unsupported."""
        if version == CURRENT:
            return {}
        if version != PREVIOUS:
            raise Unsupported(f"there are the versions {CURRENT} and {PREVIOUS}, not {version}")
        if not self._directory.exists():
            await asyncio.to_thread(self._unpack)
        # Comes before the checkout, which is installed as editable.
        # A role's package is in its folder; in older revisions the folder is the package.
        roles = sorted({package.parent for package in self._directory.glob("*/taskyard_*")})
        path = [self._directory, *roles, self._directory / "sdk" / "python" / "src"]
        return {"PYTHONPATH": ":".join(map(str, path)), "PYTHONSAFEPATH": "1"}

    def _unpack(self) -> None:
        archive = _git("archive", self._revision or _before())
        with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
            tree.extractall(self._directory, filter="data")


def _before() -> str:
    try:
        return _git("describe", "--tags", "--abbrev=0", "HEAD~1").decode().strip()
    except Unsupported:
        return "HEAD~1"


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=CHECKOUT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unsupported(f"an earlier version needs a git checkout: {error}") from error
