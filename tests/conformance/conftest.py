"""A migrated database for each test of a Postgres store."""

from collections.abc import AsyncIterator

import pytest_asyncio

from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.migration import migrate
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
