"""Values that no line of JSON can carry."""

import math
from collections.abc import Callable
from typing import Any


def _nested(size: int) -> Any:
    value: Any = []
    for _ in range(size - 1):
        value = [value]
    return value


_MADE: dict[str, Callable[[int], Any]] = {
    "text": lambda size: "x" * size,
    "nested": _nested,
    "digits": lambda size: int("9" * size),
    "nan": lambda _: math.nan,
    "infinity": lambda _: math.inf,
    "surrogate": lambda _: "\ud800",
    "not-json": lambda _: object(),
}


def made(what: str, size: int = 0) -> Any:
    """The value that `what` names."""
    return _MADE[what](size)
