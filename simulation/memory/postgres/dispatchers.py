"""Dispatchers in memory: dispatcher_note.sql and the like."""

from simulation.memory.postgres.tables import DispatcherRow
from simulation.memory.postgres.work import Work
from taskyard_core.storage.dispatchers import DispatcherNote, Peer


def delete_dispatchers_within(work: Work, age: float) -> None:
    """Delete dispatchers that have not written for `age` seconds."""
    for row in list(work.tables.dispatchers.rows.values()):
        if row.seen_at < work.time - age:
            work.put(work.tables.dispatchers, row.note.id, None)


def note(work: Work, note: DispatcherNote) -> list[Peer]:
    """Write it down; the others."""
    work.lock(work.tables.dispatchers, note.id)
    others = sorted((row for row in work.tables.dispatchers.rows.values() if row.note.id != note.id), key=_id)
    work.put(work.tables.dispatchers, note.id, DispatcherRow(note, work.time))
    return [
        Peer(row.note.id, row.note.registered, row.note.accepting, row.note.sessions, work.time - row.seen_at)
        for row in others
    ]


def _id(row: DispatcherRow) -> str:
    return row.note.id
