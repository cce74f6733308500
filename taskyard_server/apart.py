"""Keeps the server's modules and those of the user's folder apart: an application may have a `redis.py` of its own.

Imports only what the interpreter has loaded at its start, since anything else might be the user's.
"""

import os
import sys

OWN = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - no pathlib yet
"""Where Taskyard's own packages are."""

PYTHON = (sys.executable, "-P")
"""An interpreter that does not look for modules in the folder it is started in."""

# Which code an interpreter runs before, beside or instead of what it was started for.
_CODE_VARIABLES = frozenset({"PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONPLATLIBDIR"})


def search_path(path: list[str], variable: str, folder: str) -> list[str]:
    """`path` without `folder` and without what PYTHONPATH added, but for places where Taskyard itself is."""
    foreign = {os.path.realpath(entry) for entry in (folder, *variable.split(os.pathsep))} - {OWN}
    return [entry for entry in path if os.path.realpath(entry or folder) not in foreign]


def environment(inherited: dict[str, str]) -> dict[str, str]:
    """What a server is started with: all but the variables that name code of the user's."""
    entries = filter(None, inherited.get("PYTHONPATH", "").split(os.pathsep))
    own = any(os.path.realpath(entry) == OWN for entry in entries)
    kept = {name: value for name, value in inherited.items() if name not in _CODE_VARIABLES}
    return {**kept, "PYTHONPATH": OWN} if own else kept
