"""A migrated database for each test of a Postgres store."""

from collections.abc import AsyncIterator

import pytest_asyncio

from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.migration import migrate
from tests.conftest import DatabaseMaker


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(fresh_database: DatabaseMaker) -> AsyncIterator[DatabaseMaker]:
    """Makes databases with the schema in them."""
    async with fresh_database("template1") as template:
        migrate(template)
        name = template.rpartition("/")[2]
        yield lambda _="": fresh_database(name)


@pytest_asyncio.fixture(loop_scope="session")
async def database(migrated: DatabaseMaker) -> AsyncIterator[Database]:
    """An empty database."""
    async with migrated("") as url:
        opened = await Database.open(url)
        yield opened
        await opened.close()
