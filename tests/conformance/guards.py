"""The guards of the SQL, as guards.toml lists them: each is taken out of the real statement, and a test has to fail."""

import pkgutil
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from taskyard_core.storage.postgres import queries

LISTED = tomllib.loads(Path(__file__).with_name("guards.toml").read_text())


class Guard(NamedTuple):
    """A clause of a statement: its text there, what stands there once it is taken out, and who must notice."""

    statement: str
    code: str
    protects: str
    test: str
    instead: str = ""
    breaks: str = "builtins.AssertionError"
    """What the test then ends with."""

    def removed(self) -> str:
        """The statement without the clause."""
        return queries.load(self.statement).replace(self.code, self.instead)

    def parameter(self) -> object:
        """The test's `yard` without this guard, where it has to fail for the reason that is listed and no other."""
        raises = (pkgutil.resolve_name(self.breaks), pytest.fail.Exception)
        mark = pytest.mark.xfail(strict=True, raises=raises, reason=self.protects)
        return pytest.param(self, marks=mark, id=f"{self.statement} without {' '.join(self.code.split())}")


GUARDS = [Guard(**guard) for guard in LISTED["guard"]]
