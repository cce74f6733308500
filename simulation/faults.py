"""What goes wrong, and how it is taken back."""

import asyncio
from collections.abc import Callable
from random import Random

from chaos.history.events import Injected
from chaos.history.record import History
from simulation.cluster import Cluster
from simulation.link import Weather
from simulation.loop import current
from simulation.plan import Fault, Plan
from taskyard_core.storage.unavailable import StoreUnavailable

Undo = Callable[[], None]


def _nothing() -> None:
    return None


class Places:
    """A hook for scheduler.failpoints: whoever next reaches a place that is armed fails there."""

    def __init__(self) -> None:
        self._armed: dict[str, Fault] = {}

    def arm(self, fault: Fault) -> None:
        """Fail at `fault.target`, once."""
        self._armed[fault.target] = fault

    def disarm(self) -> None:
        """Let everybody pass."""
        self._armed.clear()

    async def __call__(self, place: str) -> None:
        """See taskyard_core.runtime.failpoints.Hook."""
        fault = self._armed.pop(place, None)
        if fault is None:
            return
        process = current()
        match fault.kind:
            case "crash-at":
                process.kill()
                await process.loop.create_future()
            case "stop-at":
                process.stop()
                process.loop.after(fault.seconds, process.go_on)
                await asyncio.sleep(0)
            case "fail-at":
                raise StoreUnavailable("failpoint", place)


class Faults:
    """Brings the plan's faults about, and notes them."""

    def __init__(self, plan: Plan, cluster: Cluster, places: Places, history: History, random: Random) -> None:
        self._plan = plan
        self._cluster = cluster
        self._places = places
        self._history = history
        self._random = random
        self._loop = cluster.loop
        self._lasting: dict[int, tuple[Fault, float, Undo]] = {}
        self._backup = cluster.stores.etcd.backup()

    def schedule(self) -> None:
        """Have each fault happen at its time."""
        # What a backup has that was taken before everything else went wrong, when somebody may have led.
        self._loop.call_at(self._random.random(), self._back_up)
        for number, fault in enumerate(self._plan.faults):
            self._loop.call_at(fault.at, self._begin, number, fault)

    def heal(self) -> None:
        """Take everything back that still lasts."""
        self._places.disarm()
        for number in list(self._lasting):
            self._end(number)
        self._cluster.stores.clear_up()

    def _begin(self, number: int, fault: Fault) -> None:
        self._lasting[number] = (fault, self._loop.time(), self._inject(fault))
        self._loop.call_later(fault.seconds, self._end, number)

    def _end(self, number: int) -> None:
        if number in self._lasting:
            fault, began, undo = self._lasting.pop(number)
            undo()
            self._history.faults.append(Injected(began, self._loop.time(), fault.kind, fault.target))

    def _inject(self, fault: Fault) -> Undo:
        match fault.kind:
            case "kill" | "pair-kill" | "stop" | "term":
                return self._to_processes(fault)
            case "crash-at" | "stop-at" | "fail-at":
                self._places.arm(fault)
                return _nothing
            case "down" | "frozen" | "part" | "weather":
                return self._to_stores(fault)
            case "cut" | "reset" | "deaf-worker" | "replay":
                return self._to_streams(fault)
            case "replace-etcd" | "etcd-full":
                return self._to_etcd(fault)
            case "endpoints":
                return self._roll(fault)
        return self._to_content(fault)

    def _to_processes(self, fault: Fault) -> Undo:
        undos: list[Undo] = []
        for name in fault.target.split():
            part = self._cluster.parts[name]
            if fault.kind == "stop":
                part.process.stop()
                undos.append(part.process.go_on)
            elif fault.kind == "term":
                part.terminate()
            else:
                part.process.kill()

        def undo_all() -> None:
            for undo in undos:
                undo()

        return undo_all

    def _to_stores(self, fault: Fault) -> Undo:
        if fault.kind == "part":
            name, store = fault.target.split()
            site, part = self._cluster.stores.sites[store], self._cluster.parts[name]
            site.parted.add(part.name)

            def join() -> None:
                site.parted.discard(part.name)
                site.release()

            return join
        site = self._cluster.stores.sites[fault.target]
        if fault.kind == "down":
            self._cluster.stores.stop(fault.target)
            return lambda: self._cluster.stores.start(fault.target)
        if fault.kind == "frozen":
            site.frozen = True
            return site.thaw
        before, share = site.weather, fault.share / 3
        site.weather = Weather(before.least, before.most, fault.share, share, share, share / 4)

        def clear_up() -> None:
            site.weather = before

        return clear_up

    def _to_streams(self, fault: Fault) -> Undo:
        network, workers = self._cluster.network, self._cluster.workers()
        if fault.kind == "cut":
            name, dispatcher = fault.target.split()
            pair = (name, dispatcher)
            network.part(pair)
            return lambda: network.join(pair)
        if fault.kind == "reset":
            told = {"both": (True, True), "worker": (True, False), "dispatcher": (False, True)}
            if network.connections:
                self._random.choice(network.connections).reset(told.get(fault.target, (False, False)))
            return _nothing
        if not workers:
            return _nothing
        worker = self._random.choice(workers)
        if fault.kind == "replay":
            worker.replay()
        else:
            worker.deaf_until = self._loop.time() + fault.seconds * 3
        return _nothing

    def _to_content(self, fault: Fault) -> Undo:
        stores, redis = self._cluster.stores, self._cluster.stores.redis
        if stores.sites["etcd" if fault.kind == "lose-leases" else "redis"].down:
            return _nothing
        match fault.kind:
            case "wipe":
                redis.wipe()
            case "restart-redis":
                redis.restart(lost=self._random.choice((0, 1, 3, None)))
            case "delete-lane":
                if lanes := sorted(redis.streams.lanes):
                    redis.drop(self._random.choice(lanes))
            case "lose-hints":
                redis.hints_lost = True
                return self._hints_again
            case "lose-leases":
                self._cluster.stores.lose_lease()
        return _nothing

    def _to_etcd(self, fault: Fault) -> Undo:
        etcd = self._cluster.stores.etcd
        if fault.kind == "replace-etcd":
            etcd.replace(self._backup) if fault.target else etcd.replace()
            return _nothing
        etcd.full = True
        if fault.target and not self._cluster.stores.sites["etcd"].down:
            for lease in etcd.leases:
                etcd.revoke(lease)

        def room_again() -> None:
            etcd.full = False

        return room_again

    def _roll(self, fault: Fault) -> Undo:
        """A rolling update that changes the endpoints of etcd: one dispatcher after the other."""
        stores, parts = self._cluster.stores, [self._cluster.parts[name] for name in self._plan.dispatchers]
        stores.change_endpoints()
        for number, part in enumerate(parts):
            self._loop.call_later(fault.seconds * number / len(parts), part.terminate)

        def finish() -> None:
            for process in stores.former:
                process.kill()

        return finish

    def _back_up(self) -> None:
        self._backup = self._cluster.stores.etcd.backup()

    def _hints_again(self) -> None:
        self._cluster.stores.redis.hints_lost = False
