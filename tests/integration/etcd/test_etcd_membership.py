"""The registry of dispatchers and of worker sessions: what is alive is there, whatever etcd does."""

import asyncio
from contextlib import aclosing

from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.storage.etcd.records import SessionEntry
from taskyard_dispatcher.membership import SessionRegistry
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import Gate
from tests.stores.membership import background, until_known


async def test_hundreds_of_sessions_come_back_after_their_leases_are_lost(etcd_server: EtcdServer, etcd: Etcd) -> None:
    async with Gate(etcd_server.port) as gate:
        settings = EtcdSettings(endpoints=(gate.endpoint,), prefix=etcd.keys.prefix, request_timeout=0.5)
        async with Etcd(settings) as cut, aclosing(etcd.watch(etcd.keys.sessions)) as watch:
            registry = SessionRegistry(cut, ttl=2)
            async with background(registry.run()):
                ids = [f"s{number}" for number in range(300)]
                entry = SessionEntry(dispatcher="d1", generation=1)
                await asyncio.gather(*(registry.register(name, entry) for name in ids))
                await until_known(watch, 300)
                await gate.shut()
                await until_known(watch, 0)
                gate.reopen()
                await until_known(watch, 300)
