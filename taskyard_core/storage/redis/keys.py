"""Every key and channel that Taskyard uses in Redis."""

from dataclasses import dataclass

from taskyard_core.storage.lanes import tag

GROUP = "dispatchers"
"""The consumer group of every lane."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Names under one prefix, so that several clusters can share a server."""

    prefix: str = "taskyard"

    def lane(self, lane: str) -> str:
        """The stream of a lane's name: lanes with the same tag share a slot of Redis Cluster.

        Raises ValueError for what is not the name of a lane.
        """
        return f"{self.prefix}:{{{tag(lane)}}}:lane:{lane}"

    @property
    def cluster(self) -> str:
        """The id of the cluster that the server is used by under this prefix."""
        return f"{self.prefix}:cluster"

    @property
    def lanes(self) -> str:
        """The set of the names of all lanes."""
        return f"{self.prefix}:lanes"

    @property
    def room(self) -> str:
        """A stream that is never there, to see whether the server would take an entry."""
        return f"{self.prefix}:room"

    @property
    def epoch(self) -> str:
        """The hash that holds the lanes' epoch and the term that began it."""
        return f"{self.prefix}:epoch"

    @property
    def nobody(self) -> str:
        """A channel that nobody listens to, to see whether the server lets us tell others."""
        return f"{self.prefix}:hints:nobody"

    @property
    def lanes_filled(self) -> str:
        """The channel that tells which lanes got entries."""
        return f"{self.prefix}:hints:lanes"

    @property
    def tasks_finished(self) -> str:
        """The channel that tells which tasks became terminal."""
        return f"{self.prefix}:hints:finished"

    @property
    def cancel_requested(self) -> str:
        """The channel that tells which running tasks should be cancelled."""
        return f"{self.prefix}:hints:cancels"
