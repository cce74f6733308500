"""Hints arrive while the server is there, and their reader learns when some may have been missed."""

import asyncio

import pytest

from taskyard_core.storage.hints import CancelRequested, LanesFilled, Reconnected, TasksFinished
from taskyard_core.storage.lanes import all_names
from taskyard_core.storage.unavailable import StoreUnavailable
from tests.conformance.delivery.conftest import Stage


async def test_each_reader_hears_the_kinds_it_asked_for(stage: Stage) -> None:
    hints, lanes, lane = stage.delivery.hints, stage.delivery.lanes, 'default/mail/send/5/a="ü\n"'
    # Redis has the script from then on: what is published before is hinted twice.
    await lanes.publish({lane: [("task", 1)]})
    async with (
        stage.delivery.listen(LanesFilled, CancelRequested) as dispatcher,
        stage.delivery.listen(TasksFinished) as scheduler,
    ):
        assert await anext(dispatcher) == Reconnected()
        assert await anext(scheduler) == Reconnected()
        await lanes.publish({lane: [("task", 2)]})
        await hints.tasks_finished(["one", "two"])
        await hints.cancel_requested(["three"])
        assert await anext(dispatcher) == LanesFilled((lane,))
        assert await anext(dispatcher) == CancelRequested(("three",))
        finished = await anext(scheduler)
        assert isinstance(finished, TasksFinished)
        assert finished.ids == ["one", "two"]


async def test_nothing_is_said_about_nothing(stage: Stage) -> None:
    hints = stage.delivery.hints
    async with stage.delivery.listen(LanesFilled, CancelRequested, TasksFinished) as stream:
        assert await anext(stream) == Reconnected()
        await stage.delivery.lanes.publish({})
        await hints.cancel_requested([])
        await hints.tasks_finished([])
        await hints.cancel_requested(["real"])
        assert await anext(stream) == CancelRequested(("real",))


async def test_a_cancelled_reader_goes_on_later(stage: Stage) -> None:
    async with stage.delivery.listen(CancelRequested) as stream:
        assert await anext(stream) == Reconnected()
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await all_names(stage.delivery.lanes)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await stage.delivery.hints.cancel_requested(["task"])
        assert await anext(stream) == CancelRequested(("task",))


async def test_hints_go_on_after_the_server_was_killed(own_stage: Stage) -> None:
    hints = own_stage.delivery.hints
    async with own_stage.delivery.listen(CancelRequested) as stream:
        assert await anext(stream) == Reconnected()
        following = asyncio.ensure_future(anext(stream))
        await own_stage.kill()
        with pytest.raises(StoreUnavailable):
            await hints.cancel_requested(["lost"])
        assert not following.done()
        await own_stage.start()
        assert await following == Reconnected()
        await hints.cancel_requested(["task"])
        assert await anext(stream) == CancelRequested(("task",))


async def test_a_hint_that_nobody_listens_to_is_gone(stage: Stage) -> None:
    await stage.delivery.hints.cancel_requested(["early"])
    async with stage.delivery.listen(CancelRequested) as stream:
        assert await anext(stream) == Reconnected()
        await stage.delivery.hints.cancel_requested(["heard"])
        assert await anext(stream) == CancelRequested(("heard",))
