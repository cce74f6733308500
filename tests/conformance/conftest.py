"""Task stores: a migrated database of its own for each test, or a server in memory."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
import pytest
import pytest_asyncio

from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from tests.conformance.task_stores import MemoryYard, PostgresYard, Yard
from tests.conftest import DatabaseMaker


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(fresh_database: DatabaseMaker) -> AsyncIterator[str]:
    """The name of a database with the schema and nothing in it, to copy."""
    async with fresh_database("template1") as template:
        migrate(template)
        yield template.rpartition("/")[2]


@pytest.fixture
def prepared_ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No transaction prepares a statement: a client stopped in between would keep its locks as long as it sleeps."""
    plain: Any = getattr(asyncpg.Connection, "_get_statement")  # noqa: B009 - there is no other way to see it
    known: WeakKeyDictionary[asyncpg.Connection, set[str]] = WeakKeyDictionary()
    late: list[str] = []

    async def noted(self: asyncpg.Connection, query: str, *args: Any, **options: Any) -> Any:
        seen = known.setdefault(self, set())
        if query not in seen and self.is_in_transaction():
            late.append(query)
        seen.add(query)
        return await plain(self, query, *args, **options)

    monkeypatch.setattr(asyncpg.Connection, "_get_statement", noted)
    yield
    assert late == []


@pytest_asyncio.fixture(loop_scope="session")
async def database(fresh_database: DatabaseMaker, migrated: str, prepared_ahead: None) -> AsyncIterator[Database]:
    """An empty database."""
    async with fresh_database(migrated) as url:
        opened = await Database.open(url)
        yield opened
        await opened.close()


@pytest.fixture(params=["postgres", "memory"])
def yard(request: pytest.FixtureRequest) -> Yard:
    """Each task store in turn; the one in memory starts no server."""
    return PostgresYard(request.getfixturevalue("database")) if request.param == "postgres" else MemoryYard()
