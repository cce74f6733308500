"""Lua scripts as files beside this module."""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the SHA-1 that the server knows it by."""

    name: str
    source: str = field(repr=False)
    sha: str

    @classmethod
    def load(cls, name: str) -> "Script":
        """The script in `<name>.lua`."""
        source = files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        # Redis names scripts by SHA-1; nothing is protected by it.
        return cls(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
