"""How servers and workers are started: each is told addresses that nobody else is told."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.backends.cluster import EPOCH_VARIABLE, MODE_VARIABLE, WORKER_LOG_VARIABLE, WORKS, Link, Role
from chaos.backends.local.clock import Clocks
from chaos.backends.local.layout import ETCD_MEMBERS, POSTGRES, REDIS, Layout
from chaos.backends.local.member import Member
from chaos.backends.local.options import CHAOS_WORKER, Options
from chaos.backends.local.process import Command
from chaos.backends.local.stores.postgres import Postgres
from chaos.backends.local.stores.redis import Redis
from chaos.backends.local.versions import Versions

SERVER = (sys.executable, "-m", "taskyard_server")


@dataclass(frozen=True)
class Roles:
    """Makes the members that are not stores. `proxied` is the address to call for each link."""

    options: Options
    layout: Layout
    proxied: Mapping[Link, list[str]]
    clocks: Clocks
    versions: Versions
    postgres: Postgres
    redis: Redis
    logs: Path
    worker_logs: Path

    def members(self) -> list[Member]:
        """All, not started."""
        schedulers = [self._server(name, Role.SCHEDULER) for name in self.layout.schedulers]
        dispatchers = [self._server(name, Role.DISPATCHER) for name in self.layout.dispatchers]
        return [*schedulers, *dispatchers, *(self._worker(name) for name in self.layout.workers)]

    def migration(self, postgres_url: str) -> Command:
        """Brings the database to the newest schema."""
        environment = {**_inherited(), "TASKYARD_POSTGRES_URL": postgres_url}
        return Command((*SERVER, "migrate"), environment, self.logs / "migrate.log")

    def _server(self, name: str, role: Role) -> Member:
        listens = self.layout.parts[name]
        settings = {f"TASKYARD_{purpose.upper()}_ADDRESS": address for purpose, address in listens.items()}
        addresses = {
            **listens,
            **{purpose: f"http://{listens[purpose]}" for purpose in {"rest", "http"} & set(listens)},
        }
        settings = {**self.options.settings, **settings, **self._stores(name)}
        return self._member(name, role, addresses, (*SERVER, str(role)), settings)

    def _worker(self, name: str) -> Member:
        hand = self.options.workers[self.layout.workers.index(name)]
        dispatchers = [self._proxied(name, dispatcher) for dispatcher in self.layout.dispatchers]
        settings = {
            "TASKYARD_DISPATCHERS": ",".join(dispatchers),
            "TASKYARD_WORKER_NAME": name,
            WORKER_LOG_VARIABLE: str(self.worker_logs / f"{name}.jsonl"),
            EPOCH_VARIABLE: repr(time.time() - time.monotonic()),
            **hand.environment,
        }
        return self._member(name, Role.WORKER, {}, hand.command, settings)

    def _stores(self, name: str) -> dict[str, str]:
        return {
            "TASKYARD_POSTGRES_URL": self.postgres.url_at(self._proxied(name, POSTGRES)),
            "TASKYARD_REDIS_URL": self.redis.url_at(self._proxied(name, REDIS)),
            "TASKYARD_ETCD_ENDPOINTS": ",".join(self._proxied(name, member) for member in ETCD_MEMBERS),
        }

    def _proxied(self, source: str, target: str) -> str:
        (address,) = self.proxied[Link(source, target)]
        return address

    def _member(
        self, name: str, role: Role, addresses: Mapping[str, str], argv: tuple[str, ...], settings: Mapping[str, str]
    ) -> Member:
        async def prepare(member: Member) -> Command:
            environment = {
                **_inherited(),
                "PYTHONUNBUFFERED": "1",
                "TASKYARD_POD_NAME": name,
                **settings,
                **self.clocks.environment(name, role),
                **await self.versions.environment(member.version),
                **member.environment,
            }
            # Bad manners are no SDK's: a worker of any language misbehaves as this one does.
            command = CHAOS_WORKER if environment.get(MODE_VARIABLE, WORKS) != WORKS else argv
            return Command(command, environment, self.logs / f"{name}.log")

        return Member(name, role, addresses, prepare, ended=self.clocks.forget)


def _inherited() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("TASKYARD_")}
