"""How one process reaches the task store in memory: every statement goes over its link."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from simulation.memory.link import Link
from simulation.memory.postgres.server import TaskServer
from simulation.memory.postgres.work import Busy, Work
from taskyard_core.storage.unavailable import StoreUnavailable

Answer = TypeVar("Answer")
Statement = Callable[[Work], Answer]

LOCK_TIMEOUT = 5.0
"""Seconds that a statement waits for rows that others hold."""


class Client:
    """Runs statements, each a transaction of its own or part of one. `application` is told to the observer."""

    def __init__(self, server: TaskServer, link: Link, application: str) -> None:
        self._server = server
        self._link = link
        self._application = application

    async def run(self, statement: Statement[Answer]) -> Answer:
        """A statement of its own; raises StoreUnavailable, and what the statement raises."""

        def once() -> Answer:
            work = Work(self._server, self._application)
            answer = work.do(statement)
            work.commit()
            return answer

        return await self.call(once)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["OpenTransaction"]:
        """Statements that commit together at the end of the block.

        A store that cannot be reached hears of no rollback either: what was done so far stays locked for a while.
        """
        opened = OpenTransaction(self)
        try:
            yield opened
        except StoreUnavailable:
            raise
        except BaseException:
            opened.abort()
            raise
        await opened.commit()

    def begin(self) -> Work:
        """A transaction of several statements, on the server's side."""
        return Work(self._server, self._application, lasting=True)

    async def call(self, operation: Callable[[], Answer], waiter: Work | None = None) -> Answer:
        """Have the server do an operation; waits for rows that others hold."""
        give_up: float | None = None
        while True:
            try:
                return await self._link.call(operation)
            except Busy as busy:
                now = asyncio.get_running_loop().time()
                give_up = now + LOCK_TIMEOUT if give_up is None else give_up
                if now >= give_up:
                    raise StoreUnavailable("postgres", "canceling statement due to lock timeout") from busy
                await busy.holder.over(waiter, give_up - now)


class OpenTransaction:
    """The client's side of a transaction of several statements; it begins with the first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._work: Work | None = None

    async def run(self, statement: Statement[Answer]) -> Answer:
        """A statement within the transaction; raises StoreUnavailable, and what the statement raises."""

        def once() -> Answer:
            if self._work is None:
                self._work = self._client.begin()
            return self._work.do(statement)

        return await self._client.call(once, self._work)

    async def commit(self) -> None:
        """Raises StoreUnavailable; then it is unknown whether it was committed."""
        if self._work is not None:
            await self._client.call(self._work.commit)

    def abort(self) -> None:
        """Undo it."""
        if self._work is not None:
            self._work.abort()
