"""The three stores in memory, and each process's way to them."""

from math import inf
from random import Random

from simulation.chance import EPOCH, VirtualClock
from simulation.link import Site, SiteLink, Weather
from simulation.loop import Process, VirtualLoop
from simulation.memory.etcd import EtcdServer, MemoryAccess
from simulation.memory.etcd.server import Backup
from simulation.memory.postgres.server import Observer, TaskServer
from simulation.memory.postgres.store import MemoryTaskStore
from simulation.memory.redis import MemoryDelivery, RedisServer
from simulation.plan import Plan
from taskyard_core.storage.etcd import Etcd, EtcdSettings, EtcdUnavailable
from taskyard_core.storage.hints import Message
from taskyard_core.storage.unavailable import StoreUnavailable

ETCD = EtcdSettings(endpoints=("etcd:2379",))


class Redis(RedisServer):
    """Can lose what it is to tell others."""

    hints_lost = False

    def hint(self, message: Message) -> None:
        """PUBLISH, or not."""
        if not self.hints_lost:
            super().hint(message)


class StoreRoom:
    """Servers, and the sites at which they are reached."""

    def __init__(self, plan: Plan, loop: VirtualLoop, random: Random, observer: Observer) -> None:
        self.loop = loop
        self.random = random
        self.postgres = TaskServer(lambda: EPOCH + loop.time(), observer)
        self.redis = Redis(loop.time, lambda: f"{random.getrandbits(64):016x}")
        self.etcd = EtcdServer(loop.time)
        # As one that has been used for long: what replaces it does not come as far within a schedule.
        self.etcd.replace(Backup(1000, {}, {}))
        self.former: list[Process] = []
        """Processes that use an etcd from before the endpoints were changed."""
        self._of_etcd: list[Process] = []
        share = plan.storm / 3
        weather = Weather(plan.latency / 10, plan.latency, 0.01 + plan.storm, share, share, share)
        self._calm = Weather(plan.latency / 10, plan.latency)
        self.sites = {
            name: Site(name, loop, random, weather, patience)
            for name, patience in (("postgres", 4.0), ("redis", 2.0), ("etcd", 2.0))
        }

    def task_store(self, process: Process, application: str) -> MemoryTaskStore:
        """Postgres, as a process reaches it."""
        link = SiteLink(self.sites["postgres"], process, lambda detail: StoreUnavailable("postgres", detail))
        process.at_death.append(lambda: self._hang_up(application))
        return MemoryTaskStore(self.postgres, link, application)

    def _hang_up(self, application: str) -> None:
        """The kernel of a process that died closes its connections; Postgres notices soon."""
        soon = self.random.random()
        self.loop.after(soon, self.postgres.hang_up, application)

    def delivery(self, process: Process) -> MemoryDelivery:
        """Redis, as a process reaches it."""
        link = SiteLink(self.sites["redis"], process, lambda detail: StoreUnavailable("redis", detail))
        delivery = MemoryDelivery(self.redis, link, timeout=None)
        process.at_death.append(delivery.close)
        return delivery

    def etcd_client(self, process: Process) -> Etcd:
        """etcd, as a process reaches it."""
        self._of_etcd.append(process)
        link = SiteLink(self.sites["etcd"], process, EtcdUnavailable)
        access = MemoryAccess(self.etcd, link, patience=inf)
        return Etcd(ETCD, access=access, clock=VirtualClock(self.loop))

    def stop(self, store: str) -> None:
        """Take a store away: all its connections break."""
        self.sites[store].down = True
        if store == "redis":
            self.redis.stop()
        elif store == "etcd":
            self.etcd.stop()
        else:
            self.postgres.crash()

    def start(self, store: str) -> None:
        """Bring it back."""
        self.sites[store].down = False
        if store == "redis":
            self.redis.start()
        elif store == "etcd":
            self.etcd.start()

    def change_endpoints(self) -> None:
        """From now on processes start with another etcd; those that run keep theirs."""
        self.former, self._of_etcd = [process for process in self._of_etcd if process.alive], []
        self.etcd = EtcdServer(self.loop.time)
        if self.sites["etcd"].down:
            self.etcd.stop()

    def clear_up(self) -> None:
        """From now on requests just take their time."""
        for site in self.sites.values():
            site.weather = self._calm

    def lose_lease(self) -> None:
        """Let any lease end before its time."""
        if self.etcd.leases:
            self.etcd.revoke(self.random.choice(self.etcd.leases))
