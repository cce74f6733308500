"""Task ids as clients write them."""

from taskyard_core.domain.task import is_task_id
from taskyard_core.domain.violations import Violation


def task_id(text: str, field: str = "id") -> str:
    """The id in its one spelling; raises Violation on `field`."""
    if not text:
        raise Violation(field, "is required")
    id = text.lower()
    if not is_task_id(id):
        raise Violation(field, "is not a UUID")
    return id
