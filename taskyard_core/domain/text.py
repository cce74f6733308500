"""Text that people read and logs show: which characters may be in it."""

import re

from taskyard_core.domain.violations import Violation

UNPRINTABLE = (
    # Controls, and spaces that cannot be told from others.
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    # Marks of format, which show nothing and may turn around what stands beside them.
    r"\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\ufeff\ufff9-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
    # Halves of characters, private ones, and what is none.
    r"\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff"
)
"""The inside of a regular expression's brackets; `taskyard.submit` has the same.

Spelled out, since what Python calls printable depends on the Unicode that it was built with.
"""

_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")


def printable(field: str, value: str) -> str:
    """The value if all of it can be seen; raises Violation on `field`."""
    # Python's own answer costs least, and its yes is ours.
    if not value.isprintable() and _UNPRINTABLE.search(value):
        raise Violation(field, "must be printable text")
    return value


def storable(value: str) -> str:
    """The value without what Postgres cannot hold in text: NUL becomes the replacement character."""
    return value.replace("\0", "\ufffd")


def cut(value: str, length: int) -> str:
    """The beginning of the value, at most `length` characters; `…` at its end says that there was more."""
    return value if len(value) <= length else value[: length - 1] + "…"


def cut_end(value: str, length: int) -> str:
    """The same with the end of the value, and `…` before it."""
    return value if len(value) <= length else "…" + value[len(value) - length + 1 :]
