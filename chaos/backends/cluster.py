"""What an experiment may do to a cluster, whatever the cluster runs on.

Parts are named ("dispatcher-2", "postgres-1"); a name stays when the process behind it is another. Whatever a
cluster can't do raises Unsupported, and `capabilities` tells so before anything is tried.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

# Names the file to which a chaos worker appends what it started and ended, one JSON object a line.
WORKER_LOG_VARIABLE = "CHAOS_WORKER_LOG"
# How a chaos worker behaves.
MODE_VARIABLE = "CHAOS_WORKER_MODE"
WORKS = "work"
# When the machine's monotonic clock stood at zero, in seconds since the epoch; see chaos.history.journal.steady_clock.
EPOCH_VARIABLE = "CHAOS_EPOCH"

CURRENT = "current"
PREVIOUS = "previous"


class Unsupported(Exception):
    """This cluster can't do that; the text says what it would take."""


class Role(StrEnum):
    """What a part is."""

    SCHEDULER = "scheduler"
    DISPATCHER = "dispatcher"
    WORKER = "worker"
    POSTGRES = "postgres"
    REDIS = "redis"
    ETCD = "etcd"


SERVERS = (Role.SCHEDULER, Role.DISPATCHER)
STORES = (Role.POSTGRES, Role.REDIS, Role.ETCD)


class Capability(StrEnum):
    """What some clusters can do and others can't."""

    SIGNAL = "signal"  # any signal; without it only SIGKILL and SIGTERM
    FREEZE = "freeze"
    HOLD = "hold"
    LINKS = "links"
    ENVIRONMENT = "environment"
    VERSIONS = "versions"
    WIPE = "wipe"
    DISK = "disk"
    DESCRIPTORS = "descriptors"
    CLOCK = "clock"
    POSTGRES_FAILOVER = "postgres-failover"
    REDIS_FAILOVER = "redis-failover"
    REFUSE = "refuse"  # stores that say no: rights, logins and quotas are ours to change
    ETCD_MEMBERS = "etcd-members"  # more than one: leader kill, quorum loss, move-leader


@dataclass(frozen=True)
class Part:
    """One process or pod. `pid` is None while it doesn't run and where there is none to know."""

    name: str
    role: Role
    pid: int | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Link:
    """The way from a part to one that it calls.

    The target is "postgres" or "redis" (whichever of them is primary), an etcd member, or a dispatcher.
    """

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}>{self.target}"


class Direction(StrEnum):
    """Which of a link's two streams: from the source up to the target, or down from it."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Toxic(StrEnum):
    """What can be done to a link; all but DOWN are toxiproxy's own, with its attributes (ms, KB/s, bytes)."""

    DOWN = "down"  # connections are closed, and new ones refused
    LATENCY = "latency"  # latency, jitter
    BANDWIDTH = "bandwidth"  # rate
    SLOW_CLOSE = "slow_close"  # delay
    TIMEOUT = "timeout"  # timeout; 0 lets nothing through and never closes: half-open
    RESET = "reset_peer"  # timeout
    SLICER = "slicer"  # average_size, size_variation, delay
    LIMIT = "limit_data"  # bytes


@dataclass(frozen=True)
class StreamSize:
    """Entries of a Redis stream, and those of them that somebody read and did not acknowledge."""

    length: int
    pending: int


@dataclass(frozen=True)
class Sizes:
    """What must be back to the start once everything is at rest. `memory` (bytes) and `descriptors` are by part."""

    memory: Mapping[str, int]
    descriptors: Mapping[str, int]
    postgres_connections: int
    rows: Mapping[str, int]
    redis_keys: int
    streams: Mapping[str, StreamSize]


class Cluster(Protocol):
    """A running cluster, from entry to exit of an `async with`; nothing is left of it afterwards."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What does not raise Unsupported here."""

    @property
    def rest_addresses(self) -> Sequence[str]:
        """URL of each scheduler's REST API."""

    @property
    def grpc_addresses(self) -> Sequence[str]:
        """host:port of each scheduler's gRPC API."""

    @property
    def postgres_url(self) -> str:
        """The primary, not through any link."""

    @property
    def postgres_role(self) -> str:
        """The role that the servers log in with; `postgres_execute` uses another, which may do anything."""

    @property
    def worker_logs(self) -> Path:
        """Where the workers' own logs are: one NAME.jsonl each, appended to by each process of that name."""

    @property
    def links(self) -> Sequence[Link]:
        """Every link that `toxic` takes."""

    async def __aenter__(self) -> Self:
        """Starts the cluster, or connects to it; it is whole then."""

    async def __aexit__(self, *error: object) -> None:
        """Ends it."""

    def parts(self, role: Role | None = None) -> Sequence[Part]:
        """The parts of a role, or all, as they are now."""

    async def leader(self, role: Role = Role.DISPATCHER) -> str | None:
        """The leading dispatcher or etcd member, or the primary of Postgres or Redis; None while there is none."""

    async def wait_whole(self, timeout: float) -> None:
        """Waits until every part runs and does its work. Raises TimeoutError that names those that don't."""

    async def signal(self, part: str, number: signal.Signals) -> None:
        """Sends a signal; a part that ends by it is started again after a short backoff."""

    async def freeze(self, part: str) -> None:
        """Stops a part, and all processes it consists of, where it stands (SIGSTOP)."""

    async def thaw(self, part: str) -> None:
        """Lets a frozen part go on."""

    async def hold(self, part: str) -> None:
        """From now on the part is not started again when it ends."""

    async def release(self, part: str) -> None:
        """Ends `hold`: a part that ended is started."""

    async def restart(
        self, part: str, *, environment: Mapping[str, str] | None = None, version: str | None = None
    ) -> None:
        """Ends a part in good order and starts it again.

        `environment` is what it gets beside its settings, `version` is CURRENT or PREVIOUS; both stay for
        later starts until they are given again. None changes nothing.
        """

    async def wipe(self, part: str) -> None:
        """Kills a part and starts it without its data."""

    async def toxic(
        self,
        link: Link,
        kind: Toxic,
        attributes: Mapping[str, int] | None = None,
        direction: Direction = Direction.DOWNSTREAM,
    ) -> None:
        """Spoils a link; several of different kinds or directions add up."""

    async def heal(self, link: Link) -> None:
        """Makes a link as good as new."""

    async def fill_disk(self, part: str) -> None:
        """Leaves no byte on the volume that holds the part's data, until `relieve`."""

    async def exhaust_descriptors(self, part: str) -> None:
        """Lets the part open no further file or socket, until `relieve` or its end."""

    async def jump_clock(self, part: str, seconds: float) -> None:
        """Moves the part's wall clock, not its monotonic one, `seconds` away from the true time, until `relieve`."""

    async def relieve(self, part: str) -> None:
        """Undoes `fill_disk`, `exhaust_descriptors` and `jump_clock`."""

    async def postgres_execute(self, sql: str) -> list[dict[str, Any]]:
        """Runs a statement on the primary, not through any link."""

    async def redis_command(self, *words: str | int) -> Any:
        """Runs a command on the primary, not through any link."""

    async def postgres_failover(self) -> None:
        """Kills the primary and promotes its standby; the old one comes back as a standby of the new."""

    async def redis_failover(self) -> None:
        """Kills the primary and promotes its replica; the old one comes back as a replica of the new."""

    async def etcd_move_leader(self) -> str:
        """Hands etcd's leadership to another member, and returns its name."""

    async def etcd_compact(self) -> None:
        """Forgets all revisions but the newest."""

    async def etcd_full(self, full: bool) -> None:
        """Raises etcd's alarm that its quota is used up, or disarms it."""

    async def etcd_replace(self) -> None:
        """Kills all members and starts them without their data, as a new cluster."""

    async def peaks(self) -> Mapping[str, int]:
        """The most memory, in bytes, that each server's process has had since its start; empty if unknown."""

    async def sizes(self) -> Sizes:
        """Memory, connections, rows and stream lengths now."""
