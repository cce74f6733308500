"""What etcd knows of each session's worker: written when it changes, and there for as long as the session is."""

import asyncio
from contextlib import aclosing

from taskyard_core.storage.etcd import Etcd, KeyValue, PrefixWatch
from taskyard_dispatcher.membership import Profiles
from tests.conformance.etcd.conftest import Stage
from tests.conformance.etcd.test_membership import revoke
from tests.stores.membership import background, until_known


async def settled(etcd: Etcd, session: str, value: bytes) -> KeyValue:
    """The session's key once it says that."""
    async with asyncio.timeout(10.0), aclosing(etcd.watch(etcd.keys.profiles)) as watch:
        while True:
            await anext(watch)
            item = watch.current.get(etcd.keys.profile(session))
            if item is not None and item.value == value:
                return item


async def until_lease(etcd: Etcd, watch: PrefixWatch, other_than: int) -> KeyValue:
    async with asyncio.timeout(10.0):
        while True:
            await anext(watch)
            item = watch.current.get(etcd.keys.profile("s1"))
            if item is not None and item.lease != other_than:
                return item


async def test_what_does_not_change_is_written_once(etcd: Etcd) -> None:
    profiles = Profiles(etcd)
    async with background(profiles.run()):
        profiles.keep("s1", b"one")
        first = await settled(etcd, "s1", b"one")
        for _ in range(100):
            profiles.keep("s1", b"one")
        profiles.keep("s2", b"marker")
        await settled(etcd, "s2", b"marker")
        assert await etcd.kv.get(etcd.keys.profile("s1")) == first
        profiles.keep("s1", b"two")
        second = await settled(etcd, "s1", b"two")
        assert second.lease == first.lease


async def test_a_session_that_moves_takes_its_key_along_unwritten(etcd: Etcd) -> None:
    old, new = Profiles(etcd, ttl=2), Profiles(etcd, ttl=2)
    async with background(new.run()), aclosing(etcd.watch(etcd.keys.profiles)) as watch:
        async with background(old.run()):
            old.keep("s1", b"one")
            first = await settled(etcd, "s1", b"one")
            new.keep("s1", b"one")
            new.keep("s2", b"two")
            second = await settled(etcd, "s2", b"two")
            old.forget("s1")
            old.keep("nobody's", b"three")
            await settled(etcd, "nobody's", b"three")
        await until_known(watch, 3)
        # Leases that nobody renews are over now, and others live on.
        await until_known(watch, 2, 10.0)
        assert await etcd.kv.get(etcd.keys.profile("s1")) == first
        assert await etcd.kv.get(etcd.keys.profile("s2")) == second
        new.forget("s1")
        await until_known(watch, 1, 10.0)


async def test_a_key_whose_lease_is_lost_is_written_again(etcd: Etcd) -> None:
    profiles = Profiles(etcd, ttl=2)
    async with background(profiles.run()), aclosing(etcd.watch(etcd.keys.profiles)) as watch:
        profiles.keep("s1", b"one")
        first = await settled(etcd, "s1", b"one")
        await revoke(etcd, first.lease)
        assert (await until_lease(etcd, watch, first.lease)).value == b"one"


async def test_what_could_not_be_written_is_there_when_etcd_is_back(own_stage: Stage) -> None:
    profiles = Profiles(own_stage.etcd, ttl=10)
    async with background(profiles.run()):
        await own_stage.crash()
        profiles.keep("s1", b"one")
        await own_stage.restart()
        await settled(own_stage.etcd, "s1", b"one")


async def test_nothing_is_left_of_a_session_that_leaves_at_once(etcd: Etcd) -> None:
    profiles = Profiles(etcd, ttl=2)
    async with background(profiles.run()), aclosing(etcd.watch(etcd.keys.profiles)) as watch:
        profiles.keep("s1", b"one")
        profiles.forget("s1")
        profiles.keep("s2", b"two")
        await settled(etcd, "s2", b"two")
        profiles.forget("s2")
        await until_known(watch, 0, 10.0)
