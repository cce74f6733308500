"""Lanes: tasks that any one worker either may or may not run, at one priority, wait in one lane.

Nobody else takes the name of one apart.
"""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """What tasks of one lane have in common.

    Its name is `namespace/queue/type/priority/selector`; none of the first four can hold a slash, so the name reads
    back without escapes. The generated column `task.lane` holds the same name.
    """

    namespace: str
    queue: str
    type: str
    priority: int
    selector: str

    @property
    def name(self) -> str:
        """The lane's one spelling."""
        return name_of(self.namespace, self.queue, self.type, self.priority, self.selector)


@lru_cache(maxsize=16384)
def name_of(namespace: str, queue: str, type: str, priority: int, selector: str) -> str:
    """The one spelling of a lane's name."""
    return f"{namespace}/{queue}/{type}/{priority}/{selector}"


@lru_cache(maxsize=16384)
def parse(name: str) -> Lane:
    """The lane of a name; raises ValueError for what is not one."""
    namespace, queue, type_, priority, selector = name.split("/", 4)
    return Lane(namespace, queue, type_, int(priority), selector)


def place(name: str) -> tuple[str, str]:
    """Namespace and queue of a lane's name, at less cost than the whole; raises ValueError for what is not one."""
    namespace, queue, _ = name.split("/", 2)
    return namespace, queue


UNKNOWN = Lane("unknown", "unknown", "unknown", 0, "")
"""Told in place of a lane that cannot be told."""


def told(name: str) -> Lane:
    """The lane of a name, for logs and figures; UNKNOWN where names hold slashes, which no API lets in."""
    try:
        return parse(name)
    except ValueError:
        return UNKNOWN
