"""Dispatchers as Postgres knows them."""

from taskyard_core.storage.dispatchers import DispatcherNote, Peer
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load


class Dispatchers:
    """The dispatcher table; see taskyard_core.storage.dispatchers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, note: DispatcherNote) -> list[Peer]:
        """Write it down; returns the others."""
        found = await self._database.fetch(
            load("dispatcher_note"),
            note.id,
            note.pod,
            note.address,
            note.registered,
            note.leading,
            note.accepting,
            note.sessions,
            note.slots,
        )
        return [Peer(*row) for row in found]

    async def leave(self, dispatcher: str) -> None:
        """Answer for nobody any more."""
        await self._database.fetch(load("dispatcher_leave"), dispatcher)


async def delete_dispatchers_within(connection: Connection, age: float) -> None:
    """Delete dispatchers that have not written for `age` seconds."""
    await connection.execute(load("delete_dispatchers"), age)
