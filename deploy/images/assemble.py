"""Puts together the files of an image: `assemble.py server|worker|chaos|debugger DIRECTORY`.

Installs the locked dependencies (wheels only, hashes checked) into DIRECTORY/packages, with them the wheel of the
distribution, if the image has one, which is built first; compiles everything, and adds the health check. Needs nothing
but the images' Python, with pip; the Dockerfile runs it, and so does a test.
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROJECTS = {"server": ROOT, "worker": ROOT / "sdk" / "python", "chaos": ROOT / "sdk" / "python"}
FOLDERS = {"chaos": [ROOT / "chaos"]}


def main() -> None:
    """Assembles the image named on the command line."""
    image, directory = sys.argv[1], Path(sys.argv[2])
    packages = directory / "packages"
    install_locked(f"{image}.txt", packages)
    if image in PROJECTS:
        with tempfile.TemporaryDirectory() as scratch:
            wheel = build_wheel(PROJECTS[image], Path(scratch))
            install("--no-deps", "--no-index", wheel, "--target", packages, "--upgrade")
    for folder in FOLDERS.get(image, []):
        shutil.copytree(folder, packages / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    # Commands would name the Python of the build; the images start modules instead.
    shutil.rmtree(packages / "bin", ignore_errors=True)
    shutil.copy(HERE / "healthcheck.py", directory)
    compile_all(packages)


def build_wheel(project: Path, scratch: Path) -> Path:
    """The project's wheel, built by the locked tools."""
    tools = scratch / "tools"
    install_locked("build.txt", tools)
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(scratch)]
    pip("wheel", *options, project, environment={"PYTHONPATH": str(tools)})
    (wheel,) = scratch.glob("*.whl")
    return wheel


def compile_all(packages: Path) -> None:
    """Bytecode that is valid whatever the files' times: nobody can write it later."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    # A few packages carry templates that are no valid Python.
    compileall.compile_dir(packages, quiet=2, invalidation_mode=unchecked, stripdir=str(packages.parent))


def install_locked(lock: str, target: Path) -> None:
    """Installs all that a lock names, and only that."""
    install("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", HERE / lock, "--target", target)


def install(*arguments: str | Path) -> None:
    """`pip install`, leaving the bytecode to `compile_all`."""
    pip("install", "--no-compile", *arguments)


def pip(*arguments: str | Path, environment: dict[str, str] | None = None) -> None:
    """Runs pip quietly; raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore", **(environment or {})})


if __name__ == "__main__":
    main()
