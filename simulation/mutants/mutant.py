"""What a mutant is: the server with one rule of the protocol broken on purpose."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

Patch = tuple[Any, str, Any]
"""Whose attribute, which one, and what takes its place."""


class Mutant(NamedTuple):
    """A broken rule, and what is put in its place."""

    name: str
    breaks: str
    patches: Sequence[Patch]

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Inside, the server is broken in this way."""
        with ExitStack() as stack:
            for owner, attribute, replacement in self.patches:
                stack.enter_context(patch.object(owner, attribute, replacement))
            yield


def instead(owner: Any, attribute: str) -> Callable[[Any], Patch]:
    """Names a function after what it replaces: `@instead(Owner, "method")`."""
    return lambda replacement: (owner, attribute, replacement)
