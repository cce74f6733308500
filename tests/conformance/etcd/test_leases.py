"""Leases: kept alive, lost, and known to be lost."""

import asyncio
import time

from taskyard_core.storage.etcd import Etcd, Lease
from tests.conformance.etcd.conftest import Stage


async def stays(lease: Lease, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await lease.lost.wait()
    except TimeoutError:
        return True
    return False


async def test_one_stream_keeps_many_leases_beyond_their_ttl(etcd: Etcd) -> None:
    async with etcd.renewal() as renewal:
        leases = await asyncio.gather(*(renewal.grant(2) for _ in range(300)))
        assert await stays(leases[0], 3.0)
        now = time.monotonic()
        assert all(lease.confirmed_until > now and not lease.lost.is_set() for lease in leases)


async def test_a_lease_revoked_by_somebody_else_is_noticed(etcd: Etcd) -> None:
    lost: list[Lease] = []
    async with etcd.renewal() as renewal, etcd.renewal() as other:
        lease = await renewal.grant(3, on_lost=lost.append)
        await other.revoke(lease)
        async with asyncio.timeout(2.0):
            await lease.lost.wait()
    assert lost == [lease]


async def test_revoking_deletes_the_keys_and_is_no_loss(etcd: Etcd) -> None:
    lost: list[Lease] = []
    async with etcd.renewal() as renewal:
        lease = await renewal.grant(5, on_lost=lost.append)
        await etcd.kv.put(etcd.keys.session("mortal"), b"", lease=lease.id)
        await renewal.revoke(lease)
        await renewal.revoke(lease)
        assert await etcd.kv.get(etcd.keys.session("mortal")) is None
    assert lost == []


async def test_an_abandoned_lease_expires(etcd: Etcd) -> None:
    watch = etcd.watch(etcd.keys.sessions)
    async with etcd.renewal() as renewal:
        lease = await renewal.grant(2)
        key = etcd.keys.session("mortal")
        await etcd.kv.put(key, b"", lease=lease.id)
        assert key in (await anext(watch)).changes[0].key
        renewal.abandon(lease)
        async with asyncio.timeout(5.0):
            await anext(watch)
        assert key not in watch.current
    await watch.aclose()


async def test_a_lease_outlives_a_crash_of_etcd(own_stage: Stage) -> None:
    async with own_stage.etcd.renewal() as renewal:
        lease = await renewal.grant(5)
        await own_stage.crash()
        await own_stage.restart()
        before = lease.confirmed_until
        assert await stays(lease, 4.0)
        assert lease.confirmed_until > before


async def test_leases_count_as_lost_when_their_renewal_stops(etcd: Etcd) -> None:
    async with etcd.renewal() as renewal:
        lease = await renewal.grant(30)
    assert lease.lost.is_set()


async def test_the_keys_of_a_lease_go_together_and_a_key_can_change_its_lease(etcd: Etcd) -> None:
    one, two, moved = (etcd.keys.session(name) for name in ("one", "two", "moved"))
    async with etcd.renewal() as renewal:
        first, second = await renewal.grant(30), await renewal.grant(30)
        for key in (one, two, moved):
            await etcd.kv.put(key, b"", lease=first.id)
        await etcd.kv.put(moved, b"", lease=second.id)
        before = (await etcd.kv.get_prefix(etcd.keys.sessions)).revision
        await renewal.revoke(first)
        listing = await etcd.kv.get_prefix(etcd.keys.sessions)
        assert [(item.key, item.lease) for item in listing.items] == [(moved, second.id)]
        assert listing.revision == before + 1
        await renewal.revoke(second)


async def test_a_short_lease_is_renewed_beside_a_long_one(etcd: Etcd) -> None:
    async with etcd.renewal() as renewal:
        await renewal.grant(600)
        short = await renewal.grant(2)
        assert await stays(short, 3.0)
