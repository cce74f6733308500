"""Writes what the images install, a part of `requirements/lock.txt`: server.txt, worker.txt, and build.txt for the wheels."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = {
    "server.txt": ["pyproject.toml"],
    "worker.txt": ["sdk/python/pyproject.toml"],
    "build.txt": ["--group", "pyproject.toml:build"],
}
OPTIONS = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]


def main() -> None:
    """Resolves each list again, held to the versions of the lock."""
    uv = Path(sys.executable).with_name("uv")
    for name, source in SOURCES.items():
        target = str((HERE / name).relative_to(ROOT))
        held = ["--no-emit-index-url", "--constraints", "requirements/lock.txt", "--output-file", target]
        subprocess.run([uv, "pip", "compile", *OPTIONS, *held, *source], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
