"""Which lanes a worker session may be given tasks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from taskyard_core.domain import selectors
from taskyard_core.domain.lanes import Lane


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a worker said of itself; no queues means all of them."""

    namespace: str
    types: frozenset[str]
    queues: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)

    def serve(self, lane: Lane) -> bool:
        """Whether tasks of the lane may run there."""
        return (
            lane.type in self.types
            and lane.namespace == self.namespace
            and (not self.queues or lane.queue in self.queues)
            and selectors.fits(lane.selector, self.labels)
        )
