"""The database's own record: triggers that note every change, and reading what they noted.

Install it before the first task of a run: what was there before has no beginning.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from chaos.history.events import Placement, SessionChange, TermRaised, Transition
from chaos.history.record import History

if TYPE_CHECKING:
    # Generic for type checkers only.
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

_PAGE = 10_000


async def install(connection: Connection) -> None:
    """Begins to record, from nothing."""
    await uninstall(connection)
    async with connection.transaction():
        await connection.execute(_sql("audit"))


async def uninstall(connection: Connection) -> None:
    """Stops recording and drops what was recorded."""
    async with connection.transaction():
        await connection.execute(_sql("remove_audit"))


async def load(history: History, connection: Connection, origin: float) -> None:
    """Adds what was recorded to the history, with times made seconds since `origin`."""
    with _no_collections():
        async with connection.transaction():
            await _load_transitions(history, connection, origin)
            for row in await connection.fetch(_sql("audit_sessions"), origin):
                history.sessions.append(_session(row))
            for row in await connection.fetch(_sql("audit_terms"), origin):
                history.terms.append(TermRaised(*row))


async def _load_transitions(history: History, connection: Connection, origin: float) -> None:
    placements: dict[tuple[str, ...], Placement] = {}
    # Rows lie about as they were written, so ordering them here costs less than in Postgres.
    async for row in connection.cursor(_sql("audit_tasks"), origin, prefetch=_PAGE):
        history.transitions.append(_transition(row, placements))
    history.transitions.sort(key=attrgetter("seq"))


def _transition(row: Any, placements: dict[tuple[str, ...], Placement]) -> Transition:
    placement = tuple(row["placement"] or ())
    if placement and placement not in placements:
        namespace, queue, type_, selector, priority = placement
        placements[placement] = Placement(namespace, queue, type_, selector, int(priority))
    values: list[Any] = [sys.intern(value) if type(value) is str else value for value in row]
    return Transition(*values)._replace(placement=placements.get(placement))


def _session(row: Any) -> SessionChange:
    values = {
        **row,
        "types": tuple(row["types"]),
        "queues": tuple(row["queues"]),
        "labels": orjson.loads(row["labels"]),
    }
    return SessionChange(**values)


@contextmanager
def _no_collections() -> Iterator[None]:
    # Millions of small tuples without cycles: looking for garbage among them over and over would take most of the time.
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _sql(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text()
