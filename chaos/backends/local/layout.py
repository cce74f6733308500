"""Which parts a local cluster has, where they listen and who calls whom: pure, but for the choice of ports."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.backends.cluster import Link, Role

POSTGRES = "postgres"
REDIS = "redis"
ETCD_MEMBERS = ("etcd-1", "etcd-2", "etcd-3")
# Sources of links that are no parts: those who submit, and whoever follows the primary just now.
CLIENT = "client"
STANDBY = "standby"
REPLICA = "replica"


@dataclass(frozen=True)
class Layout:
    """Names, and host:port of everything that listens. `parts` maps a part to what it listens on, by purpose."""

    schedulers: tuple[str, ...]
    dispatchers: tuple[str, ...]
    workers: tuple[str, ...]
    parts: dict[str, dict[str, str]]

    def links(self) -> list[tuple[Link, str]]:
        """Every link with an address that it leads to; one that leads to several ports is there several times."""
        return [*self._to_stores(), *self._between_stores(), *self._to_servers()]

    def _to_stores(self) -> list[tuple[Link, str]]:
        stores = {POSTGRES: "postgres-1", REDIS: "redis-1", **{member: member for member in ETCD_MEMBERS}}
        return [
            (Link(server, target), self.parts[part]["client"])
            for server in (*self.schedulers, *self.dispatchers)
            for target, part in stores.items()
        ]

    def _between_stores(self) -> list[tuple[Link, str]]:
        return [
            (Link(STANDBY, POSTGRES), self.parts["postgres-1"]["client"]),
            (Link(REPLICA, REDIS), self.parts["redis-1"]["client"]),
            # A member has one address for all others: this link is the way in, from all of them.
            *((Link("etcd", member), self.parts[member]["peer"]) for member in ETCD_MEMBERS),
        ]

    def _to_servers(self) -> list[tuple[Link, str]]:
        submitting = [
            (Link(CLIENT, name), self.parts[name][port]) for name in self.schedulers for port in ("rest", "grpc")
        ]
        sessions = [
            (Link(worker, name), self.parts[name]["session"]) for worker in self.workers for name in self.dispatchers
        ]
        return [*submitting, *sessions]


def make_layout(schedulers: int, dispatchers: int, workers: int, free_address: Callable[[], str]) -> Layout:
    """Names and addresses for so many parts."""
    names = {
        Role.SCHEDULER: _numbered(Role.SCHEDULER, schedulers),
        Role.DISPATCHER: _numbered(Role.DISPATCHER, dispatchers),
    }
    purposes = {
        **dict.fromkeys(names[Role.SCHEDULER], ("rest", "grpc")),
        **dict.fromkeys(names[Role.DISPATCHER], ("session", "http")),
        **dict.fromkeys(ETCD_MEMBERS, ("client", "peer")),
        **dict.fromkeys(("postgres-1", "postgres-2", "redis-1", "redis-2"), ("client",)),
    }
    return Layout(
        schedulers=names[Role.SCHEDULER],
        dispatchers=names[Role.DISPATCHER],
        workers=_numbered(Role.WORKER, workers),
        parts={name: {purpose: free_address() for purpose in its} for name, its in purposes.items()},
    )


def _numbered(role: Role, count: int) -> tuple[str, ...]:
    return tuple(f"{role}-{number}" for number in range(1, count + 1))
