"""The lanes' epoch changes whenever entries may be lost, and only the latest leader begins one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from scheduler.storage.redis import Keys, LaneEpoch, StaleTerm, connect
from scheduler.storage.unavailable import StoreUnavailable
from taskyard_server.dev.valkey import Valkey


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A server of the test's own, to be ill-treated."""
    valkey = Valkey(tmp_path / "valkey")
    await valkey.start()
    await valkey.wait_ready()
    yield valkey
    await valkey.stop()


async def test_an_epoch_lasts_until_a_wipe(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        epoch = LaneEpoch(redis, Keys())
        assert await epoch.current() is None
        first = await epoch.begin(7)
        assert await epoch.current() == first
        await redis.flushall()
        assert await epoch.current() is None
        second = await epoch.begin(7)
        assert second != first
        assert await epoch.current() == second


async def test_a_restart_with_all_data_is_another_epoch(server: Valkey) -> None:
    async with connect(server.url) as redis:
        epoch = LaneEpoch(redis, Keys())
        first = await epoch.begin(1)
        await server.stop()
        with pytest.raises(StoreUnavailable):
            await epoch.current()
        await server.start()
        await server.wait_ready()
        assert await redis.exists(Keys().epoch)
        assert await epoch.current() not in {None, first}


async def test_a_leader_of_the_past_begins_nothing(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        epoch = LaneEpoch(redis, Keys())
        await epoch.begin(7)
        latest = await epoch.begin(12)
        with pytest.raises(StaleTerm, match="term 7 is over"):
            await epoch.begin(7)
        assert await epoch.current() == latest
        assert await epoch.begin(12) != latest
