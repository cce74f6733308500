"""What is wrong with a request: the field and why."""

from collections.abc import Iterator
from contextlib import contextmanager


class Violation(ValueError):
    """A field of a request breaks a rule; `field` is its path, e.g. `tasks[3].retry.jitter`."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description

    def within(self, parent: str) -> "Violation":
        """The same violation seen from the message that holds the field's message."""
        return Violation(f"{parent}.{self.field}", self.description)


@contextmanager
def within(parent: str) -> Iterator[None]:
    """Violations raised in the block are about fields of the message that is in the field `parent`."""
    try:
        yield
    except Violation as violation:
        raise violation.within(parent) from violation
