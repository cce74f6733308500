"""Following a prefix through everything that can interrupt a watch."""

import asyncio
from contextlib import aclosing

from taskyard_core.storage.etcd import Delete, Etcd, EtcdSettings, Put, WatchTiming
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import Gate, compact


async def test_compaction_ahead_of_a_watcher_is_healed_by_the_difference(own_server: EtcdServer) -> None:
    async with (
        Gate(own_server.port) as gate,
        Etcd(EtcdSettings(endpoints=(own_server.url,))) as writer,
        Etcd(EtcdSettings(endpoints=(gate.endpoint,))) as reader,
    ):
        kept, gone, new = (writer.keys.session(name) for name in ("kept", "gone", "new"))
        await writer.kv.put(kept, b"")
        await writer.kv.put(gone, b"")
        async with aclosing(reader.watch(reader.keys.sessions, timing=WatchTiming(relist=(600, 600)))) as watch:
            await anext(watch)
            await writer.kv.put(kept, b"seen on the stream")
            await anext(watch)
            await gate.shut()
            await writer.kv.delete(gone)
            compact(own_server, await writer.kv.put(new, b""))
            gate.reopen()
            async with asyncio.timeout(10.0):
                changes = await anext(watch)
    assert changes.listed
    assert [(type(change), change.key) for change in changes.changes] == [(Delete, gone), (Put, new)]


async def test_a_silent_connection_is_given_up(etcd_server: EtcdServer, etcd: Etcd) -> None:
    timing = WatchTiming(relist=(600, 600), probe=0.3)
    async with Gate(etcd_server.port) as gate:
        settings = EtcdSettings(endpoints=(gate.endpoint,), prefix=etcd.keys.prefix, request_timeout=0.5)
        async with Etcd(settings) as reader, aclosing(reader.watch(reader.keys.sessions, timing=timing)) as watch:
            await anext(watch)
            waiting = asyncio.ensure_future(anext(watch))
            gate.freeze()
            await etcd.kv.put(etcd.keys.session("unheard"), b"")
            await asyncio.wait({waiting}, timeout=1.5)
            assert not waiting.done()
            # The old connections stay as they were, dead: only a new one gets through.
            await gate.shut()
            gate.reopen()
            async with asyncio.timeout(10.0):
                assert [change.key for change in (await waiting).changes] == [etcd.keys.session("unheard")]
