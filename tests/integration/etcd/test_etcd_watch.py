"""Following a prefix through everything that can interrupt a watch."""

import asyncio
from contextlib import aclosing

from scheduler.storage.etcd import Delete, Etcd, EtcdSettings, PrefixWatch, Put, WatchTiming
from taskyard_server.dev.etcd import Etcd as EtcdServer
from tests.stores.etcd import Gate, compact, crash, restart


async def until(watch: PrefixWatch, key: str) -> list[str]:
    """Reads on until `key` is there; returns the keys put on the way, in order."""
    seen: list[str] = []
    async with asyncio.timeout(20.0):
        while key not in watch.current:
            seen += [change.key for change in (await anext(watch)).changes if isinstance(change, Put)]
    return seen


async def test_what_is_there_comes_first_and_then_each_change(etcd: Etcd) -> None:
    key = etcd.keys.setting("a")
    await etcd.kv.put(key, b"1")
    async with aclosing(etcd.watch(etcd.keys.config)) as watch:
        snapshot = await anext(watch)
        assert snapshot.listed
        assert [change.key for change in snapshot.changes] == [key]
        revision = await etcd.kv.put(key, b"2")
        update = await anext(watch)
        assert (update.revision, update.listed) == (revision, False)
        assert isinstance(update.changes[0], Put)
        assert update.changes[0].item.value == watch.current[key].value == b"2"
        await etcd.kv.delete(key)
        (gone,) = (await anext(watch)).changes
        assert isinstance(gone, Delete)
        assert gone.previous.value == b"2"
        assert not watch.current


async def test_an_empty_prefix_is_reported_too(etcd: Etcd) -> None:
    async with aclosing(etcd.watch(etcd.keys.config)) as watch:
        assert (await anext(watch)).changes == ()


async def test_an_interrupted_wait_loses_nothing(etcd: Etcd) -> None:
    async with aclosing(etcd.watch(etcd.keys.config)) as watch:
        await anext(watch)
        for number in range(20):
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.wait({waiting}, timeout=0.001)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await etcd.kv.put(etcd.keys.setting(f"k{number:02}"), b"")
        await until(watch, etcd.keys.setting("k19"))
        assert len(watch.current) == 20


async def test_a_crash_of_etcd_leaves_no_gap(own_server: EtcdServer, own_etcd: Etcd) -> None:
    keys = [own_etcd.keys.setting(f"k{number:02}") for number in range(60)]
    async with aclosing(own_etcd.watch(own_etcd.keys.config, timing=WatchTiming(relist=(600, 600)))) as watch:
        await anext(watch)
        reading = asyncio.ensure_future(until(watch, keys[-1]))
        for key in keys[:30]:
            await own_etcd.kv.put(key, b"", repeatable=True)
        await crash(own_server)
        await restart(own_server)
        # Written before the watch is back, in all likelihood: it waits for its backoff.
        async with Etcd(EtcdSettings(endpoints=(own_server.url,))) as other:
            for key in keys[30:]:
                await other.kv.put(key, b"", repeatable=True)
        assert await reading == keys


async def test_compaction_ahead_of_a_watcher_is_healed_by_the_difference(own_server: EtcdServer) -> None:
    async with (
        Gate(own_server.port) as gate,
        Etcd(EtcdSettings(endpoints=(own_server.url,))) as writer,
        Etcd(EtcdSettings(endpoints=(gate.endpoint,))) as reader,
    ):
        kept, gone, new = (writer.keys.setting(name) for name in ("kept", "gone", "new"))
        await writer.kv.put(kept, b"")
        await writer.kv.put(gone, b"")
        async with aclosing(reader.watch(reader.keys.config, timing=WatchTiming(relist=(600, 600)))) as watch:
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
        async with Etcd(settings) as reader, aclosing(reader.watch(reader.keys.config, timing=timing)) as watch:
            await anext(watch)
            waiting = asyncio.ensure_future(anext(watch))
            gate.freeze()
            await etcd.kv.put(etcd.keys.setting("unheard"), b"")
            await asyncio.wait({waiting}, timeout=1.5)
            assert not waiting.done()
            # The old connections stay as they were, dead: only a new one gets through.
            await gate.shut()
            gate.reopen()
            async with asyncio.timeout(10.0):
                assert [change.key for change in (await waiting).changes] == [etcd.keys.setting("unheard")]


async def test_silence_alone_is_no_failure(etcd: Etcd) -> None:
    async with aclosing(etcd.watch(etcd.keys.config, timing=WatchTiming(probe=0.1))) as watch:
        await anext(watch)
        heard_at = watch.heard_at
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.wait({waiting}, timeout=0.6)
        assert watch.heard_at > heard_at
        await etcd.kv.put(etcd.keys.setting("x"), b"")
        assert not (await waiting).listed


async def test_listing_again_from_time_to_time_neither_skips_nor_repeats(etcd: Etcd) -> None:
    written: list[str] = []
    seen: list[str] = []

    async def write_until(enough: asyncio.Event) -> None:
        while not enough.is_set():
            written.append(etcd.keys.setting(f"k{len(written):05}"))
            await etcd.kv.put(written[-1], b"")

    async with aclosing(etcd.watch(etcd.keys.config, timing=WatchTiming(relist=(0.05, 0.1)))) as watch:
        enough = asyncio.Event()
        await anext(watch)
        writing = asyncio.ensure_future(write_until(enough))
        listings = 0
        async with asyncio.timeout(20.0):
            while listings < 5:
                changes = await anext(watch)
                listings += changes.listed
                seen += [change.key for change in changes.changes]
        enough.set()
        await writing
        seen += await until(watch, written[-1])
    assert seen == written
