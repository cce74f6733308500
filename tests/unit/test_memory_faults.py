"""What a simulation can do to the stores in memory: faults that no test can bring about in a real server on time."""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import TypeVar

import pytest

from simulation.memory.etcd import EtcdServer, MemoryAccess
from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.storage.etcd import Etcd, EtcdSettings, EtcdUnavailable
from taskyard_core.storage.hints import CancelRequested, Reconnected
from taskyard_core.storage.lanes import Quota, all_names
from taskyard_core.storage.unavailable import StoreUnavailable

A = "default/mail/send/5/"
B = "default/mail/send/9/"
Answer = TypeVar("Answer")


class Faulty:
    """A link that does what the test says next."""

    def __init__(self) -> None:
        self.lose_answer: Exception | None = None
        self.silent = False
        self.stuck = asyncio.Event()

    async def call(self, operation: Callable[[], Answer]) -> Answer:
        if self.silent:
            self.stuck.set()
            await asyncio.Event().wait()
        answer = operation()
        error, self.lose_answer = self.lose_answer, None
        if error is not None:
            raise error
        return answer


def redis() -> RedisServer:
    words = (f"word{number}" for number in itertools.count())
    return RedisServer(time.monotonic, lambda: next(words))


async def test_what_a_lost_answer_has_taken_comes_back_by_reclaim() -> None:
    server, link = redis(), Faulty()
    lanes = MemoryDelivery(server, link).lanes
    await lanes.publish({A: [("task", 0)]})
    link.lose_answer = StoreUnavailable("redis", "cut")
    with pytest.raises(StoreUnavailable):
        await lanes.take("c", [Quota(A, 1)], 1)
    assert await lanes.take("c", [Quota(A, 1)], 1) == []
    assert [entry.task_id for entry in await lanes.reclaim("c", [A], 0, 9)] == ["task"]


async def test_a_silent_server_is_given_up_after_a_while() -> None:
    link = Faulty()
    delivery = MemoryDelivery(redis(), link, timeout=0.01)
    link.silent = True
    with pytest.raises(StoreUnavailable, match="no answer"):
        await all_names(delivery.lanes)


async def test_a_silent_subscription_is_noticed_and_made_again() -> None:
    server, link = redis(), Faulty()
    delivery = MemoryDelivery(server, link, timeout=0.01, quiet=0.01, draw=lambda low, high: low)
    async with delivery.listen(CancelRequested) as stream:
        assert await anext(stream) == Reconnected()
        following = asyncio.ensure_future(anext(stream))
        link.silent = True
        await link.stuck.wait()
        await MemoryDelivery(server).hints.cancel_requested(["missed"])
        link.silent = False
        assert await following == Reconnected()


@pytest.mark.parametrize(("lost", "waiting"), [(0, ["b"]), (1, ["b", "a"]), (2, ["a"]), (3, []), (None, [])])
async def test_a_failover_loses_the_last_writes_and_shows_another_epoch(lost: int | None, waiting: list[str]) -> None:
    server = redis()
    delivery = MemoryDelivery(server)
    epoch = await delivery.epoch.begin(1)
    await delivery.lanes.publish({A: [("a", 0)]})
    await delivery.lanes.publish({B: [("b", 0)]})
    taken = await delivery.lanes.take("c", [Quota(A, 1)], 1)
    assert server.writes == 4
    server.restart(lost=lost)
    found = await delivery.lanes.take("c", [Quota(B, 1), Quota(A, 1)], 9)
    assert [entry.task_id for entry in found] == waiting
    assert await delivery.epoch.current() != epoch
    # An entry that was taken before and came back is the same one to whoever acknowledges it.
    await delivery.lanes.ack(taken)
    depth = (await delivery.lanes.depths([A]))[A]
    assert (depth.length, depth.pending) == (0, 0)


async def test_ids_of_entries_that_a_failover_lost_are_not_used_again() -> None:
    server = redis()
    lanes = MemoryDelivery(server).lanes
    await lanes.publish({A: [("lost", 0)]})
    lost = await lanes.take("c", [Quota(A, 1)], 1)
    server.restart(lost=None)
    await lanes.publish({A: [("new", 0)]})
    await lanes.ack(lost)
    assert [entry.task_id for entry in await lanes.take("c", [Quota(A, 1)], 1)] == ["new"]


async def test_a_process_that_died_hears_nothing_more() -> None:
    server = redis()
    dead = MemoryDelivery(server)
    stream = dead.listen(CancelRequested)
    assert await anext(stream) == Reconnected()
    dead.close()
    following = asyncio.ensure_future(anext(stream))
    await MemoryDelivery(server).hints.cancel_requested(["task"])
    await asyncio.sleep(0)
    assert not following.done()
    following.cancel()


async def test_an_election_key_is_there_although_the_answer_was_lost() -> None:
    link = Faulty()
    server = EtcdServer(time.monotonic)
    etcd = Etcd(EtcdSettings(), access=MemoryAccess(server, link))
    link.lose_answer = EtcdUnavailable("cut")
    with pytest.raises(EtcdUnavailable):
        await etcd.kv.put_if("/key", b"", mod_revision=0)
    assert not (await etcd.kv.put_if("/key", b"", mod_revision=0)).done


async def test_a_lease_that_nobody_answers_for_is_lost_to_its_holder_in_time() -> None:
    link = Faulty()
    server = EtcdServer(time.monotonic)
    etcd = Etcd(EtcdSettings(), access=MemoryAccess(server, link), draw=lambda low, high: low)
    async with etcd.renewal() as renewal:
        lease = await renewal.grant(1)
        link.silent = True
        async with asyncio.timeout(2.0):
            await lease.lost.wait()
        assert lease.is_expired(time.monotonic())


async def test_a_lease_ends_as_late_as_the_lag_says() -> None:
    server = EtcdServer(time.monotonic, lag=lambda: 0.3)
    etcd = Etcd(EtcdSettings(), access=MemoryAccess(server))
    granted_at = time.monotonic()
    lease = await etcd.access.grant(1)
    await etcd.kv.put(etcd.keys.session("mortal"), b"", lease=lease.lease_id)
    async with aclosing(etcd.watch(etcd.keys.sessions)) as watch, asyncio.timeout(5.0):
        while not watch.revision or watch.current:
            await anext(watch)
    assert time.monotonic() - granted_at >= 1.3


async def test_leases_live_their_whole_life_again_once_there_is_a_leader() -> None:
    now = 0.0
    server = EtcdServer(lambda: now)
    lease = (await MemoryAccess(server).grant(1)).lease_id
    server.stop()
    now = 9.0
    server.start()
    assert server.leases == (lease,)
    server.stop()
