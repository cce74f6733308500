"""Breaks the SDK on purpose, as broken.toml says: the text of a module is changed before it is imported."""

import importlib.util
import os
import sys
import tomllib
from collections.abc import Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

LISTED = Path(__file__).parent.with_name("broken.toml")
INHERITED = "TASKYARD_KIT_BROKEN"
"""Tells processes of isolated handlers how the SDK is broken."""
_STARTUP = Path(__file__).with_name("startup")
_ROOT = Path(__file__).parents[2]


class Mutation(NamedTuple):
    """`code` stands once in the SDK's file, and `instead` stands there when the SDK is broken."""

    file: str
    code: str
    instead: str = ""

    @property
    def module(self) -> str:
        """The module that the file is."""
        return "taskyard." + self.file.removesuffix(".py").replace("/", ".")

    def applied(self, source: str) -> str:
        """The broken source; raises ValueError if the code isn't there once, as after a change of the SDK."""
        if source.count(self.code) != 1:
            raise ValueError(f"{self.file} has this {source.count(self.code)} times, not once: {self.code}")
        return source.replace(self.code, self.instead)


def listed() -> dict[str, Mutation]:
    """All ways to break the SDK, by name."""
    return {name: Mutation(**found) for name, found in tomllib.loads(LISTED.read_text()).items()}


def break_sdk(name: str) -> None:
    """Break it in this process and those that it spawns."""
    os.environ |= {INHERITED: name, "PYTHONPATH": f"{_STARTUP}:{_ROOT}"}
    sys.meta_path.insert(0, _Finder(listed()[name]))


class _Finder(MetaPathFinder):
    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The broken module's spec; None for all others."""
        if fullname != self._mutation.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        loader = _Loader(fullname, spec.origin, self._mutation)
        return importlib.util.spec_from_file_location(fullname, spec.origin, loader=loader)


class _Loader(SourceLoader):
    def __init__(self, fullname: str, path: str, mutation: Mutation) -> None:
        self._fullname = fullname
        self._path = path
        self._mutation = mutation

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002 - there is one
        """Where it is."""
        return self._path

    def get_data(self, path: str) -> bytes:
        """Its broken source; never what was compiled before."""
        if path != self._path:
            raise OSError("not cached")
        return self._mutation.applied(Path(path).read_text()).encode()
