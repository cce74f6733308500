"""Leases: kept alive, lost, and known to be lost."""

import asyncio
import time

import pytest

from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import Gate


@pytest.mark.parametrize("frozen", [False, True])
async def test_a_lease_is_lost_when_etcd_cannot_be_reached_for_a_ttl(etcd_server: EtcdServer, frozen: bool) -> None:
    async with (
        Gate(etcd_server.port) as gate,
        Etcd(EtcdSettings(endpoints=(gate.endpoint,))) as etcd,
        etcd.renewal() as renewal,
    ):
        lease = await renewal.grant(2)
        if frozen:
            gate.freeze()
        else:
            await gate.shut()
        async with asyncio.timeout(3.0):
            await lease.lost.wait()
        assert lease.is_expired(time.monotonic())
        gate.reopen()
