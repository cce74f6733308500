"""Following a prefix through everything that can interrupt a watch."""

import asyncio
from contextlib import aclosing

from taskyard_core.storage.etcd import Change, Delete, Etcd, PrefixWatch, Put, WatchTiming
from tests.conformance.etcd.conftest import Stage


async def until(watch: PrefixWatch, key: str) -> list[str]:
    """Reads on until `key` is there; returns the keys put on the way, in order."""
    seen: list[str] = []
    async with asyncio.timeout(20.0):
        while key not in watch.current:
            seen += [change.key for change in (await anext(watch)).changes if isinstance(change, Put)]
    return seen


async def test_what_is_there_comes_first_and_then_each_change(etcd: Etcd) -> None:
    key = etcd.keys.session("a")
    await etcd.kv.put(key, b"1")
    async with aclosing(etcd.watch(etcd.keys.sessions)) as watch:
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
    async with aclosing(etcd.watch(etcd.keys.sessions)) as watch:
        assert (await anext(watch)).changes == ()


async def test_an_interrupted_wait_loses_nothing(etcd: Etcd) -> None:
    async with aclosing(etcd.watch(etcd.keys.sessions)) as watch:
        await anext(watch)
        for number in range(20):
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.wait({waiting}, timeout=0.001)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await etcd.kv.put(etcd.keys.session(f"k{number:02}"), b"")
        await until(watch, etcd.keys.session("k19"))
        assert len(watch.current) == 20


async def test_a_crash_of_etcd_leaves_no_gap(own_stage: Stage) -> None:
    etcd = own_stage.etcd
    keys = [etcd.keys.session(f"k{number:02}") for number in range(60)]
    async with aclosing(etcd.watch(etcd.keys.sessions, timing=WatchTiming(relist=(600, 600)))) as watch:
        await anext(watch)
        reading = asyncio.ensure_future(until(watch, keys[-1]))
        for key in keys[:30]:
            await etcd.kv.put(key, b"", repeatable=True)
        await own_stage.crash()
        await own_stage.restart()
        # Written before the watch is back, in all likelihood: it waits for its backoff.
        async with own_stage.another() as other:
            for key in keys[30:]:
                await other.kv.put(key, b"", repeatable=True)
        assert await reading == keys


async def test_silence_alone_is_no_failure(etcd: Etcd) -> None:
    async with aclosing(etcd.watch(etcd.keys.sessions, timing=WatchTiming(probe=0.1))) as watch:
        await anext(watch)
        heard_at = watch.heard_at
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.wait({waiting}, timeout=0.6)
        assert watch.heard_at > heard_at
        await etcd.kv.put(etcd.keys.session("x"), b"")
        assert not (await waiting).listed


async def test_listing_again_from_time_to_time_neither_skips_nor_repeats(etcd: Etcd) -> None:
    written: list[str] = []
    seen: list[str] = []

    async def write_until(enough: asyncio.Event) -> None:
        while not enough.is_set():
            written.append(etcd.keys.session(f"k{len(written):05}"))
            await etcd.kv.put(written[-1], b"")
            # At this pace: listings of what a server in memory takes would be long.
            await asyncio.sleep(0.001)

    async with aclosing(etcd.watch(etcd.keys.sessions, timing=WatchTiming(relist=(0.05, 0.1)))) as watch:
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


async def test_compaction_ahead_of_a_watcher_is_healed_by_the_difference(own_stage: Stage) -> None:
    etcd = own_stage.etcd
    kept, gone, new = (etcd.keys.session(name) for name in ("kept", "gone", "new"))
    await etcd.kv.put(kept, b"")
    await etcd.kv.put(gone, b"")
    async with aclosing(etcd.watch(etcd.keys.sessions, timing=WatchTiming(relist=(600, 600)))) as watch:
        await anext(watch)
        await etcd.kv.put(kept, b"seen on the stream")
        await anext(watch)
        await watch.aclose()
        await etcd.kv.delete(gone)
        await etcd.kv.put(new, b"")
        # The newest revision itself can still be watched.
        own_stage.compact(await etcd.kv.put(etcd.keys.profile("elsewhere"), b""))
        async with asyncio.timeout(10.0):
            changes = await anext(watch)
    assert changes.listed
    assert [(type(change), change.key) for change in changes.changes] == [(Delete, gone), (Put, new)]


async def test_a_watch_that_was_let_go_resumes_after_what_it_has_seen(etcd: Etcd) -> None:
    first, second = etcd.keys.session("a"), etcd.keys.session("b")
    async with aclosing(etcd.watch(etcd.keys.sessions, timing=WatchTiming(relist=(600, 600)))) as watch:
        await anext(watch)
        await etcd.kv.put(first, b"1")
        await anext(watch)
        await watch.aclose()
        await etcd.kv.put(first, b"2")
        await etcd.kv.put(etcd.keys.profile("elsewhere"), b"")
        await etcd.kv.put(second, b"")
        await etcd.kv.delete(first)
        changes = list[Change]()
        while len(changes) < 3:
            changes += (await anext(watch)).changes
    assert [(type(change), change.key) for change in changes] == [(Put, first), (Put, second), (Delete, first)]
