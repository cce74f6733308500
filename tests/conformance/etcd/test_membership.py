"""The registry of dispatchers and of worker sessions: what is alive is there, whatever etcd does."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from taskyard_core.storage.etcd import Delete, Etcd, PrefixWatch
from taskyard_core.storage.etcd.records import DispatcherRecord, SessionEntry
from taskyard_dispatcher.membership import DispatcherRegistration, SessionRegistry
from tests.conformance.etcd.conftest import Stage
from tests.stores.membership import background, until_known

RECORD = DispatcherRecord(
    dispatcher_id="d1",
    pid=7,
    pod="pod-1",
    session_address="10.0.0.1:7071",
    http_address="10.0.0.1:8080",
    version="0.1.0",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def entry(generation: int, dispatcher: str = "d1") -> SessionEntry:
    return SessionEntry(dispatcher=dispatcher, generation=generation)


def value_of(watch: PrefixWatch, key: str) -> SessionEntry:
    return SessionEntry.from_json(watch.current[key].value)


async def test_a_dispatcher_is_registered_while_it_runs(etcd: Etcd) -> None:
    async with aclosing(etcd.watch(etcd.keys.dispatchers)) as watch:
        async with background(DispatcherRegistration(etcd, RECORD).run()):
            await until_known(watch, 1)
            item = watch.current[etcd.keys.dispatcher("d1")]
            assert DispatcherRecord.from_json(item.value) == RECORD
        await until_known(watch, 0, 1.0)


async def test_a_dispatcher_whose_lease_is_lost_registers_again(etcd: Etcd) -> None:
    registration = DispatcherRegistration(etcd, RECORD)
    async with aclosing(etcd.watch(etcd.keys.dispatchers)) as watch, background(registration.run()):
        await until_known(watch, 1)
        (item,) = watch.current.values()
        await revoke(etcd, item.lease)
        await until_known(watch, 0)
        await until_known(watch, 1)
        assert next(iter(watch.current.values())).lease != item.lease
        async with asyncio.timeout(5.0):
            await registration.registered.wait()


async def revoke(etcd: Etcd, lease_id: int) -> None:
    """Ends somebody else's lease, as if it had expired early."""
    async with etcd.renewal() as renewal:
        lease = await renewal.grant(60)
        renewal.abandon(lease)
        lease.id = lease_id
        await renewal.revoke(lease)


async def test_a_session_is_registered_until_it_is_removed(etcd: Etcd) -> None:
    registry = SessionRegistry(etcd)
    async with aclosing(etcd.watch(etcd.keys.sessions)) as watch, background(registry.run()):
        assert await registry.register("s1", entry(1))
        await until_known(watch, 1)
        assert value_of(watch, etcd.keys.session("s1")) == entry(1)
        assert await registry.register("s1", entry(2, "d2"))
        await anext(watch)
        assert value_of(watch, etcd.keys.session("s1")) == entry(2, "d2")
        await registry.remove("s1")
        await until_known(watch, 0, 1.0)


async def test_a_forgotten_session_expires(etcd: Etcd) -> None:
    registry = SessionRegistry(etcd, ttl=2)
    async with aclosing(etcd.watch(etcd.keys.sessions)) as watch, background(registry.run()):
        await registry.register("s1", entry(1))
        await registry.register("s2", entry(1))
        await until_known(watch, 2)
        registry.forget("s1")
        await until_known(watch, 1, 5.0)
        assert set(watch.current) == {etcd.keys.session("s2")}


async def test_a_crash_of_etcd_shorter_than_the_ttl_takes_no_session_away(own_stage: Stage) -> None:
    registry = SessionRegistry(own_stage.etcd, ttl=10)
    async with aclosing(own_stage.etcd.watch(own_stage.etcd.keys.sessions)) as watch, background(registry.run()):
        assert await registry.register("s1", entry(1))
        await until_known(watch, 1)
        await own_stage.crash()
        assert not await registry.register("s2", entry(1))
        await own_stage.restart()
        async with asyncio.timeout(15.0):
            while len(watch.current) < 2:
                assert not any(isinstance(change, Delete) for change in (await anext(watch)).changes)
        assert value_of(watch, own_stage.etcd.keys.session("s1")) == entry(1)


async def test_an_adopted_session_belongs_to_its_new_dispatcher(etcd: Etcd) -> None:
    superseded: asyncio.Queue[str] = asyncio.Queue()
    old = SessionRegistry(etcd, on_superseded=superseded.put_nowait)
    new = SessionRegistry(etcd)
    async with (
        aclosing(etcd.watch(etcd.keys.sessions)) as watch,
        background(old.run()),
        background(new.run()),
    ):
        await old.register("s1", entry(1, "old"))
        await until_known(watch, 1)
        old_lease = watch.current[etcd.keys.session("s1")].lease
        await new.register("s1", entry(2, "new"))
        await anext(watch)
        # The old dispatcher loses its lease without knowing of the adoption: it must not take over.
        await revoke(etcd, old_lease)
        async with asyncio.timeout(10.0):
            assert await superseded.get() == "s1"
        item = await etcd.kv.get(etcd.keys.session("s1"))
        assert item is not None
        assert SessionEntry.from_json(item.value) == entry(2, "new")
        assert not await old.register("s1", entry(1, "old"))


async def test_an_impossible_session_id_is_refused_at_once(etcd: Etcd) -> None:
    with pytest.raises(ValueError, match="etcd key"):
        await SessionRegistry(etcd).register("a/b", entry(1))
