"""Task stores: a migrated database of its own for each test, or a server in memory."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.migration import migrate
from tests.conformance.task_stores import MemoryYard, PostgresYard, Yard
from tests.conftest import DatabaseMaker


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(fresh_database: DatabaseMaker) -> AsyncIterator[str]:
    """The name of a database with the schema and nothing in it, to copy."""
    async with fresh_database("template1") as template:
        migrate(template)
        yield template.rpartition("/")[2]


@pytest_asyncio.fixture(loop_scope="session")
async def database(fresh_database: DatabaseMaker, migrated: str) -> AsyncIterator[Database]:
    """An empty database."""
    async with fresh_database(migrated) as url:
        opened = await Database.open(url)
        yield opened
        await opened.close()


@pytest.fixture(params=["postgres", "memory"])
def yard(request: pytest.FixtureRequest) -> Yard:
    """Each task store in turn; the one in memory starts no server."""
    return PostgresYard(request.getfixturevalue("database")) if request.param == "postgres" else MemoryYard()
