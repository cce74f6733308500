"""The way from the task store to the dispatchers, noun by noun."""

from typing import Protocol

from taskyard_core.storage.epoch import LaneEpoch
from taskyard_core.storage.hint_stream import HintStream
from taskyard_core.storage.hints import Hints, Message
from taskyard_core.storage.lanes import LaneStore


class Delivery(Protocol):
    """Lanes and hints as one process reaches them: Redis, or memory in a simulation. Nothing in it is the truth."""

    @property
    def lanes(self) -> LaneStore:
        """The lanes."""

    @property
    def epoch(self) -> LaneEpoch:
        """Whether the lanes still have what was published."""

    @property
    def hints(self) -> Hints:
        """Tells others."""

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the server answers, is recent enough, and its keys are ours."""

    def listen(self, *kinds: type[Message]) -> HintStream:
        """What others tell, of these kinds."""
