"""Every key and channel that Taskyard uses in Redis."""

from taskyard_core.storage.lanes import tag

GROUP = "dispatchers"
"""The consumer group of every lane."""


class Keys:
    """Names under one prefix, so that several clusters can share a server."""

    def __init__(self, prefix: str = "taskyard") -> None:
        self.prefix = prefix
        self.cluster = f"{prefix}:cluster"
        """The id of the cluster that the server is used by under this prefix."""
        self.lanes = f"{prefix}:lanes"
        """The set of the names of all lanes."""
        self.room = f"{prefix}:room"
        """A stream that is never there, to see whether the server would take an entry."""
        self.epoch = f"{prefix}:epoch"
        """The hash that holds the lanes' epoch and the term that began it."""
        self.nobody = f"{prefix}:hints:nobody"
        """A channel that nobody listens to, to see whether the server lets us tell others."""
        self.lanes_filled = f"{prefix}:hints:lanes"
        """The channel that tells which lanes got entries."""
        self.tasks_finished = f"{prefix}:hints:finished"
        """The channel that tells which tasks became terminal."""
        self.cancel_requested = f"{prefix}:hints:cancels"
        """The channel that tells which running tasks should be cancelled."""

    def lane(self, lane: str) -> str:
        """The stream of a lane's name: lanes with the same tag share a slot of Redis Cluster.

        Raises ValueError for what is not the name of a lane.
        """
        return f"{self.prefix}:{{{tag(lane)}}}:lane:{lane}"
