"""The lanes' epoch changes whenever entries may be lost, and only the latest leader begins one."""

import pytest

from taskyard_core.storage.term import TermOver
from taskyard_core.storage.unavailable import StoreUnavailable
from tests.conformance.delivery.conftest import Stage


async def test_an_epoch_lasts_until_a_wipe(stage: Stage) -> None:
    epoch = stage.delivery.epoch
    assert await epoch.current() is None
    first = await epoch.begin(7)
    assert await epoch.current() == first
    await stage.wipe()
    assert await epoch.current() is None
    second = await epoch.begin(7)
    assert second != first
    assert await epoch.current() == second


async def test_a_restart_with_all_data_is_another_epoch(own_stage: Stage) -> None:
    epoch = own_stage.delivery.epoch
    first = await epoch.begin(1)
    await own_stage.stop()
    with pytest.raises(StoreUnavailable):
        await epoch.current()
    await own_stage.start()
    restarted = await epoch.current()
    assert restarted is not None
    assert restarted != first


async def test_a_leader_of_the_past_begins_nothing(stage: Stage) -> None:
    epoch = stage.delivery.epoch
    await epoch.begin(7)
    latest = await epoch.begin(12)
    with pytest.raises(TermOver, match="term 7 is over"):
        await epoch.begin(7)
    assert await epoch.current() == latest
    assert await epoch.begin(12) != latest


async def test_a_term_that_redis_alone_remembers_holds_nobody_up_who_knows_better(stage: Stage) -> None:
    epoch = stage.delivery.epoch
    await epoch.begin(12)
    begun = await epoch.begin(7, regardless=True)
    assert await epoch.current() == begun
    assert await epoch.begin(8) != begun
