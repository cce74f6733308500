"""Postgres asked from outside: statements, connections, rows."""

from typing import Any

import asyncpg

CLIENTS = """\
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'taskyard' ORDER BY tablename"

UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a statement may raise while Postgres is away or frozen."""


async def execute(url: str, sql: str) -> list[dict[str, Any]]:
    """Runs a statement on a connection of its own."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        connection.terminate()  # close() would wait for a frozen server


async def connections(url: str) -> int:
    """Clients that are connected to the database, this one left out."""
    return await _count(url, CLIENTS)


async def rows(url: str) -> dict[str, int]:
    """Rows of each of the cluster's tables."""
    tables = [row["tablename"] for row in await execute(url, TABLES)]
    return {table: await _count(url, f'SELECT count(*) FROM taskyard."{table}"') for table in tables}


async def _count(url: str, sql: str) -> int:
    (row,) = await execute(url, sql)
    return int(row["count"])
