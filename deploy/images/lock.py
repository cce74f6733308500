"""Writes server.txt, worker.txt and build.txt, what images and wheels need: parts of `requirements/lock.txt`."""

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
# The Python of the runtime image, not that of the build: what needs a backport in one does not in the other.
TARGET = ["--python-version", "3.11.2", "--python-platform", "linux"]
OPTIONS = ["--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", *TARGET]


def main() -> None:
    """Resolves each list again, held to the versions of the lock."""
    uv = Path(sys.executable).with_name("uv")
    for name, source in SOURCES.items():
        target = str((HERE / name).relative_to(ROOT))
        held = ["--constraints", "requirements/lock.txt", "--output-file", target]
        subprocess.run([uv, "pip", "compile", *OPTIONS, *held, *source], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
