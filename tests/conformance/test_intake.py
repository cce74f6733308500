"""What Postgres refuses although it was checked fails alone: neither its neighbours nor other calls go with it."""

import asyncio
from collections.abc import Sequence

import pytest

from taskyard_core.domain import submission
from taskyard_core.domain.task import TaskSpec
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.store import PostgresStore
from taskyard_core.storage.submissions import Conflict, NewTask, Receipt, Submitted
from taskyard_scheduler.intake import Intake, Stored


class Published:
    """Notes what would go into the lanes."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def submitted(self, _: Sequence[NewTask], receipt: Receipt) -> None:
        self.ids |= {outcome.task_id for outcome in receipt.outcomes if isinstance(outcome, Submitted)}


def good(key: str = "") -> TaskSpec:
    return submission.build(type="good", payload=b"1", idempotency_key=key)


def bad() -> TaskSpec:
    # No text of Postgres' holds it; the checks of submissions let nothing of the kind pass.
    return TaskSpec(type="\0", payload=b"1")


@pytest.mark.parametrize("key", ["", "k"])
async def test_only_what_postgres_refuses_is_not_stored(database: Database, key: str) -> None:
    published = Published()
    intake = Intake(PostgresStore(database).submissions, published)  # type: ignore[arg-type]
    calls = [[good()], [bad()], [good(key), bad(), good(key), good()], [good()]]
    found = await asyncio.gather(*map(intake.submit, calls))
    assert [list(map(kind, outcomes)) for outcomes in found] == [
        [Submitted],
        [Exception],
        [Submitted, Exception, Submitted, Submitted],
        [Submitted],
    ]
    rows = await database.fetch("SELECT id::text FROM taskyard.task WHERE type = 'good'")
    assert {row[0] for row in rows} == published.ids
    assert len(rows) == (4 if key else 5)


def kind(outcome: Stored) -> type[Submitted | Conflict | Exception]:
    return Exception if isinstance(outcome, Exception) else type(outcome)
