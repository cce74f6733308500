"""Brings a database to the newest schema: plain SQL files, applied in order, each once, under a lock."""

from importlib.resources import as_file, files
from typing import Any

import psycopg
import yoyo
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.target import Target


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the names of the applied migrations. Blocking.

    Several processes may call it at once: one applies, the others wait. Raises the driver's errors, and ValueError for
    a URL that makes no sense.
    """
    target = Target.parse(url).for_migrations()
    with psycopg.connect(**target) as connection:
        connection.execute(load("make_schema").encode())
    with as_file(files(__package__) / "migrations") as directory, _backend(target) as backend:
        migrations = yoyo.read_migrations(str(directory))
        with backend.lock(timeout=60):
            missing = backend.to_apply(migrations)
            backend.apply_migrations(missing)
    return [migration.id for migration in missing]


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """Connects as it is told; yoyo's own reading of URLs knows neither several hosts nor every password."""

    def connect(self, dburi: DatabaseURI) -> psycopg.Connection[Any]:
        # The record of what was applied belongs into our schema too, whatever search path the user has.
        self.schema = "taskyard"
        return psycopg.connect(**dburi.args, autocommit=True)


def _backend(target: dict[str, Any]) -> PostgresqlPsycopgBackend:
    backend = _Backend(DatabaseURI("postgresql", None, None, None, None, "", target), default_migration_table)
    backend.init_database()
    return backend
