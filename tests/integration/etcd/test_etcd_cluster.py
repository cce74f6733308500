"""Three members: what one of them does is no trouble for anybody."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import pytest
import pytest_asyncio

from taskyard_core.storage.etcd import Etcd, EtcdSettings, WatchTiming
from taskyard_core.storage.etcd.grpc_access import GrpcAccess
from tests.stores.etcd import ClusterMember, cluster, crash, restart, running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def members(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[ClusterMember]]:
    members = cluster(tmp_path_factory.mktemp("cluster"))
    async with running(*members):
        yield members


@asynccontextmanager
async def client_of(members: list[ClusterMember]) -> AsyncIterator[Etcd]:
    async with Etcd(EtcdSettings(endpoints=tuple(member.url for member in members))) as etcd:
        yield etcd


def used_by(etcd: Etcd, members: list[ClusterMember]) -> ClusterMember:
    """The member that the client's calls go to."""
    return next(member for member in members if member.url == cast("GrpcAccess", etcd.access).connection.member.address)


async def test_calls_leases_and_watches_outlive_the_member_they_use(members: list[ClusterMember]) -> None:
    async with client_of(members) as etcd, etcd.renewal() as renewal:
        lease = await renewal.grant(10)
        before, after = etcd.keys.session("before"), etcd.keys.session("after")
        await etcd.kv.put(before, b"", lease=lease.id)
        async with aclosing(etcd.watch(etcd.keys.sessions)) as watch:
            await anext(watch)
            victim = used_by(etcd, members)
            await crash(victim)
            assert await etcd.kv.get(before) is not None
            assert used_by(etcd, members) is not victim
            async with asyncio.timeout(10.0):
                await etcd.kv.put(after, b"", repeatable=True)
                await anext(watch)
            assert set(watch.current) == {before, after}
            confirmed = lease.confirmed_until
            await asyncio.wait({asyncio.ensure_future(lease.lost.wait())}, timeout=5.0)
            assert lease.confirmed_until > confirmed
            await renewal.revoke(lease)
        await restart(victim)


async def test_a_stopped_member_is_left_for_another(members: list[ClusterMember]) -> None:
    timing = WatchTiming(relist=(600, 600), probe=0.5)
    async with client_of(members) as etcd, etcd.renewal() as renewal:
        lease = await renewal.grant(5)
        key = etcd.keys.session("during")
        async with aclosing(etcd.watch(etcd.keys.sessions, timing=timing)) as watch:
            await anext(watch)
            victim = used_by(etcd, members)
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(15.0):
                    await etcd.kv.put(key, b"", repeatable=True)
                    while key not in watch.current:
                        await anext(watch)
                assert not lease.lost.is_set()
            finally:
                os.kill(victim.pid, signal.SIGCONT)
