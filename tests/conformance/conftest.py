"""Task stores: a migrated database of its own for each test, or a server in memory."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
import pytest
import pytest_asyncio

from taskyard_core.storage.postgres import queries
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.migration import migrate
from tests.conformance.guards import GUARDS, Guard
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each task store in turn, and the real one without each guard that the test is named for."""
    mine = [guard for guard in GUARDS if guard.test == metafunc.function.__name__]
    if "yard" in metafunc.fixturenames:
        metafunc.parametrize("yard", ["postgres", "memory", *(guard.parameter() for guard in mine)], indirect=True)
    elif mine:
        raise pytest.UsageError(f"{mine[0].test} has no task store whose guards could be taken out")


@pytest.fixture
def yard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """A task store; the one in memory starts no server."""
    if request.param == "memory":
        return MemoryYard()
    if isinstance(request.param, Guard):
        monkeypatch.setitem(queries._TEXTS, f"{request.param.statement}.sql", request.param.removed())
    return PostgresYard(request.getfixturevalue("database"))
