"""Task ids as clients write them."""

import re

from taskyard_core.domain.violations import Violation

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def task_id(text: str, field: str = "id") -> str:
    """The id in its one spelling; raises Violation on `field`."""
    if not text:
        raise Violation(field, "is required")
    if not _UUID.fullmatch(text):
        raise Violation(field, "is not a UUID")
    return text.lower()
