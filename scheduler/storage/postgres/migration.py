"""Brings a database to the newest schema: plain SQL files, applied in order, each once, under a lock."""

from importlib.resources import as_file, files
from urllib.parse import urlsplit, urlunsplit

import psycopg
import yoyo


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the names of the applied migrations. Blocking.

    Several processes may call it at once: one applies, the others wait. Raises the driver's errors.
    """
    with psycopg.connect(url) as connection:
        # Two that find no schema both create it, IF NOT EXISTS or not, and one of them fails.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('taskyard.migration'))")
        connection.execute("CREATE SCHEMA IF NOT EXISTS taskyard")
    with as_file(files(__package__) / "migrations") as directory, yoyo.get_backend(_backend_url(url)) as backend:
        migrations = yoyo.read_migrations(str(directory))
        with backend.lock(timeout=60):
            missing = backend.to_apply(migrations)
            backend.apply_migrations(missing)
    return [migration.id for migration in missing]


def _backend_url(url: str) -> str:
    # The record of what was applied belongs into our schema too, whatever search path the user has.
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, "options=-csearch_path%3Dtaskyard")))
    return urlunsplit(parts._replace(scheme="postgresql+psycopg", query=query))
