"""Bringing a database to the newest schema."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from taskyard_core.domain.task import Outcome, TaskState
from taskyard_core.storage.postgres import migration
from taskyard_core.storage.postgres.migration import migrate
from tests.conftest import DatabaseMaker

MIGRATIONS = Path(migration.__file__).parent / "migrations"


async def test_migrating_again_and_several_at_once_changes_nothing(fresh_database: DatabaseMaker) -> None:
    async with fresh_database("template1") as url:
        with ThreadPoolExecutor(8) as pool:
            applied = [name for names in pool.map(migrate, [url] * 8) for name in names]
        assert applied == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
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


POISON = {
    "timeout_seconds": ["'infinity'", "'-infinity'", "'NaN'", "0", "-3600", "1e300", "5"],
    "run_at": ["'-infinity'", "'infinity'", "'20000-01-01Z'", "'4000-01-01 BC'", "now()"],
    "expires_at": ["'-infinity'", "'infinity'", "'20000-01-01Z'", "NULL"],
}


async def test_rows_that_are_out_of_bounds_do_not_keep_a_database_from_being_migrated(
    fresh_database: DatabaseMaker, migrated: str, as_superuser: Callable[[str], str]
) -> None:
    async with fresh_database(migrated) as url:
        connection = await asyncpg.connect(as_superuser(url))
        await connection.execute("CREATE ROLE writer")
        try:
            await connection.execute(
                "GRANT USAGE ON SCHEMA taskyard TO writer; GRANT INSERT ON taskyard.task TO writer"
            )
            # As it was before the third migration.
            await connection.execute("DELETE FROM taskyard._yoyo_migration WHERE migration_id = '0003.values'")
            for column in ("timeout", "run_at", "expires_at"):
                await connection.execute(f"ALTER TABLE taskyard.task DROP CONSTRAINT task_{column}_range")
            for column, values in POISON.items():
                for value in values:
                    await connection.execute(
                        f"INSERT INTO taskyard.task (id, namespace, queue, type, state, payload, {column})"
                        f" VALUES (gen_random_uuid(), 'default', 'default', 't', 'QUEUED', 'null', {value})"
                    )
            assert migrate(url) == ["0003.values"]
            # Every update of such a row would fail, were it not mended.
            assert await connection.execute("UPDATE taskyard.task SET state = 'SCHEDULED'") == "UPDATE 16"
            kept = await connection.fetch("SELECT DISTINCT timeout_seconds FROM taskyard.task ORDER BY 1")
            assert [row[0] for row in kept] == [0.001, 5, 2592000, None]
            for column, values in POISON.items():
                for value in values[:3]:
                    with pytest.raises(asyncpg.CheckViolationError):
                        await connection.execute(f"UPDATE taskyard.task SET {column} = {value}")
            # Who could submit before still can, and nobody else.
            allowed = "SELECT has_function_privilege($1, 'taskyard.submit'::regproc, 'execute')"
            assert await connection.fetchval(allowed, "writer")
            assert not await connection.fetchval(allowed, "pg_monitor")
        finally:
            await connection.execute("DROP OWNED BY writer; DROP ROLE writer")
            await connection.close()
