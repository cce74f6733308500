"""Bringing a database to the newest schema."""

from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from scheduler.domain.task import Outcome, TaskState
from scheduler.storage.postgres.migration import migrate
from tests.conftest import DatabaseMaker


async def test_migrating_again_and_several_at_once_changes_nothing(fresh_database: DatabaseMaker) -> None:
    async with fresh_database("template1") as url:
        with ThreadPoolExecutor(8) as pool:
            applied = [name for names in pool.map(migrate, [url] * 8) for name in names]
        assert applied == ["0001.initial", "0002.submit_function", "0004.cluster"]
        assert migrate(url) == []


@pytest.mark.parametrize(("table", "column", "words"), [("task", "state", TaskState), ("attempt", "outcome", Outcome)])
async def test_the_tables_know_the_same_words_as_the_domain(
    fresh_database: DatabaseMaker, migrated: str, table: str, column: str, words: type[TaskState] | type[Outcome]
) -> None:
    async with fresh_database(migrated) as url:
        connection = await asyncpg.connect(url)
        checks = await connection.fetch(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'",
            f"taskyard.{table}",
        )
        await connection.close()
    (check,) = [row[0] for row in checks if row[0].startswith(f"CHECK (({column} = ANY")]
    assert {word for word in check.split("'") if (word.isupper() and word.isalpha()) or "_" in word} == set(words)
