"""Promotion, expiry and outbox: what waits for the leader moves on, and reaches the lanes."""

from collections.abc import Sequence

import pytest

from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.storage.redis.connection import connect
from taskyard_core.storage.redis.lanes import LaneStore
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.duties.outbox import OutboxDuty
from taskyard_dispatcher.duties.passage import Expiry, Promotion
from taskyard_server.dev.port import free_port
from tests.integration.duties.conftest import Stores

PAST = "now() - interval '1 s'"
LATER = "now() + interval '1 h'"


def promotion(stores: Stores) -> Promotion:
    return Promotion(stores.fenced, stores.tasks, stores.aftermath)


class Told:
    """Hints that are kept."""

    def __init__(self) -> None:
        self.finished: list[str] = []

    async def tasks_finished(self, ids: Sequence[str]) -> None:
        self.finished.extend(ids)


async def leave_in_outbox(stores: Stores, age: str) -> None:
    """As a scheduler does that is killed right after its commit."""
    await stores.database.fetch(
        "INSERT INTO taskyard.outbox (task_ids, created_at)"
        " SELECT array_agg(id), now() - $1::text::interval FROM taskyard.task WHERE state = 'QUEUED'",
        age,
    )


async def test_five_thousand_due_tasks_are_queued_and_published_at_once(stores: Stores) -> None:
    await stores.add(5000, "SCHEDULED", run_at=PAST)
    await stores.add(10, "SCHEDULED", run_at=LATER)
    await promotion(stores).run_once(await stores.lead())
    await stores.publication.close()
    assert await stores.count("QUEUED") == 5000
    assert await stores.count("SCHEDULED") == 10
    assert await stores.published() == await stores.ids("QUEUED")
    assert await stores.value("SELECT count(*) FROM taskyard.outbox") == 0


async def test_a_task_that_somebody_holds_does_not_hold_up_the_others(stores: Stores) -> None:
    await stores.add(3, "SCHEDULED", run_at=PAST)
    term = await stores.lead()
    async with stores.database.transaction() as connection:
        await connection.fetch("SELECT 1 FROM taskyard.task LIMIT 1 FOR UPDATE")
        await promotion(stores).run_once(term)
        assert await stores.count("QUEUED") == 2
    await promotion(stores).run_once(term)
    assert await stores.count("QUEUED") == 3


@pytest.mark.parametrize("state", ["SCHEDULED", "BLOCKED", "QUEUED"])
async def test_what_did_not_start_in_time_expires_and_is_announced(stores: Stores, state: str) -> None:
    await stores.add(1500, state, expires_at=PAST)
    await stores.add(2, state)
    told = Told()
    aftermath = Aftermath(stores.publication, Announcements(told), stores.telemetry)  # type: ignore[arg-type]
    await Expiry(stores.fenced, stores.tasks, aftermath).run_once(await stores.lead())
    await aftermath.close()
    assert await stores.count(state) == 2
    assert set(told.finished) == await stores.ids("EXPIRED")
    assert len(told.finished) == 1500


async def test_old_outbox_rows_are_published_and_forgotten(stores: Stores) -> None:
    await stores.add(300)
    for _ in range(150):
        await leave_in_outbox(stores, "3 s")
    await stores.add(1, "SCHEDULED")
    await stores.database.fetch("UPDATE taskyard.task SET state = 'QUEUED' WHERE state = 'SCHEDULED'")
    await leave_in_outbox(stores, "0 s")
    await OutboxDuty(stores.fenced, stores.queued, stores.lanes).run_once(await stores.lead())
    assert len(await stores.published()) == 300
    assert await stores.value("SELECT count(*) FROM taskyard.outbox") == 1


async def test_rows_of_tasks_that_wait_no_more_are_forgotten(stores: Stores) -> None:
    await stores.add(3)
    await leave_in_outbox(stores, "3 s")
    await stores.database.fetch("DELETE FROM taskyard.task")
    await OutboxDuty(stores.fenced, stores.queued, stores.lanes).run_once(await stores.lead())
    assert await stores.published() == set()
    assert await stores.value("SELECT count(*) FROM taskyard.outbox") == 0


async def test_the_outbox_waits_for_redis(stores: Stores) -> None:
    await stores.add(3)
    await leave_in_outbox(stores, "3 s")
    redis = connect(f"redis://127.0.0.1:{free_port()}")
    away = LaneStore(redis, stores.keys)
    with pytest.raises(StoreUnavailable):
        await OutboxDuty(stores.fenced, stores.queued, away).run_once(await stores.lead())
    assert await stores.value("SELECT count(*) FROM taskyard.outbox") == 1
    await redis.aclose()
