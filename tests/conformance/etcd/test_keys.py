"""Reading and writing keys."""

import pytest

from taskyard_core.storage.etcd import Etcd, LeaseNotFound


async def test_a_key_is_written_read_and_deleted(etcd: Etcd) -> None:
    key = etcd.keys.session("colour")
    assert await etcd.kv.get(key) is None
    revision = await etcd.kv.put(key, b"red")
    item = await etcd.kv.get(key)
    assert item is not None
    assert (item.key, item.value, item.create_revision, item.mod_revision) == (key, b"red", revision, revision)
    assert await etcd.kv.delete(key)
    assert not await etcd.kv.delete(key)
    assert await etcd.kv.get(key) is None


async def test_a_listing_is_paged_at_one_revision_and_stays_inside_its_prefix(etcd: Etcd) -> None:
    names = [f"n{number:02}" for number in range(25)]
    for name in names:
        revision = await etcd.kv.put(etcd.keys.session(name), name.encode())
    await etcd.kv.put(etcd.keys.prefix + "/configurations", b"not one of them")
    listing = await etcd.kv.get_prefix(etcd.keys.sessions, page_size=10)
    assert [item.value.decode() for item in listing.items] == names
    assert listing.revision == revision + 1


async def test_a_conditional_put_shows_what_stood_in_the_way(etcd: Etcd) -> None:
    key = etcd.keys.session("owner")
    first = await etcd.kv.put_if(key, b"one", mod_revision=0)
    assert first.done
    refused = await etcd.kv.put_if(key, b"two", mod_revision=0)
    assert not refused.done
    assert refused.existing is not None
    assert refused.existing.value == b"one"
    assert (await etcd.kv.put_if(key, b"two", mod_revision=refused.existing.mod_revision)).done
    await etcd.kv.delete(key)
    late = await etcd.kv.put_if(key, b"three", mod_revision=first.revision)
    assert not late.done
    assert late.existing is None


async def test_a_key_cannot_be_put_under_a_lease_that_is_gone(etcd: Etcd) -> None:
    with pytest.raises(LeaseNotFound):
        await etcd.kv.put(etcd.keys.session("x"), b"", lease=123456789)
