"""Writes what images and wheels need: parts of `requirements/lock.txt`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = {
    "deploy/images/server.txt": ["pyproject.toml"],
    "deploy/images/worker.txt": ["--extra", "otlp", "sdk/python/pyproject.toml"],
    "deploy/images/build.txt": ["--group", "pyproject.toml:build"],
    "deploy/images/chaos.txt": ["--group", "pyproject.toml:chaos", "sdk/python/pyproject.toml"],
    "deploy/images/debugger.txt": ["--group", "pyproject.toml:debug"],
}
# The Python of the runtime image, not that of the build: what needs a backport in one does not in the other.
TARGET = ["--python-version", "3.13.5", "--python-platform", "linux"]
OPTIONS = ["--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", *TARGET]


def main() -> None:
    """Resolves each list again, held to the versions of the lock."""
    uv = Path(sys.executable).with_name("uv")
    for target, source in SOURCES.items():
        held = ["--constraints", "requirements/lock.txt", "--output-file", target]
        subprocess.run([uv, "pip", "compile", *OPTIONS, *held, *source], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
