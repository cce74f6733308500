"""How long a statement may take, by Postgres' own clock and by ours."""

from typing import Any

import asyncpg
import pytest

from taskyard_core.storage.postgres.database import Database


@pytest.mark.parametrize("limit", [1.0, 5.0, 10.0, 15.0, 60.0, 600.0])
async def test_postgres_ends_a_statement_before_we_give_it_up(monkeypatch: pytest.MonkeyPatch, limit: float) -> None:
    asked: dict[str, Any] = {}

    async def pool(**options: Any) -> None:
        asked.update(options)

    monkeypatch.setattr(asyncpg, "create_pool", pool)
    await Database.open("postgresql://taskyard@127.0.0.1/taskyard", statement_timeout=limit)
    assert asked["server_settings"]["statement_timeout"] == f"{limit:g}s"
    assert asked["command_timeout"] >= limit + 5
