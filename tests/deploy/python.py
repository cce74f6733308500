"""The Python that the images have, and one of the same version on this machine."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from tests.deploy.dockerfile import configuration

PLACE = Path(configuration("server").entrypoint[0])
"""Where it is in the images."""
ABSENT = f"no {PLACE.name} here that everybody may run, as the images have it (Debian 13's, or pyenv's)"


@functools.cache
def python() -> Path | None:
    """One with pip that nobody's user can run as well."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [
        Path(sys.executable).resolve(),
        *sorted(pyenv.glob(f"versions/*/bin/{PLACE.name}")),
        Path("/usr/local/bin", PLACE.name),
        PLACE,
    ]
    return next((one for one in candidates if one.name == PLACE.name and _usable(one)), None)


def _usable(one: Path) -> bool:
    if not one.exists() or (os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in one.parents)):
        return False
    return subprocess.run([one, "-c", "import pip, ssl"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def files() -> dict[str, Path]:
    """Its files by their places in the images."""
    found = python()
    assert found, ABSENT
    libraries = found.parents[1] / "lib"
    # Debian's holds in itself what others have in a library beside them.
    shared = {f"/usr/lib/{path.name}": path for path in libraries.glob(f"lib{PLACE.name}.so.*")}
    return {str(PLACE): found, f"/usr/lib/{PLACE.name}": libraries / PLACE.name, **shared}
