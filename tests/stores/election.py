"""Electors, and work that only takes note of its terms."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskyard_core.storage.etcd import Etcd
from taskyard_core.storage.etcd.records import Candidate
from taskyard_dispatcher.leadership import ElectionTiming, Elector, Term

QUICK = ElectionTiming(ttl=2, margin=0.5, rest=(0.05, 0.1))


class Turns:
    """The work of a leader that only takes note of its terms."""

    def __init__(self) -> None:
        self.terms: asyncio.Queue[Term] = asyncio.Queue()
        self.over: asyncio.Queue[Term] = asyncio.Queue()
        self.fail = asyncio.Event()

    async def lead(self, term: Term) -> None:
        self.terms.put_nowait(term)
        try:
            await self.fail.wait()
            raise RuntimeError("a duty failed")
        finally:
            self.over.put_nowait(term)

    async def next_term(self, within: float = 10.0) -> Term:
        async with asyncio.timeout(within):
            return await self.terms.get()

    async def next_end(self, within: float = 10.0) -> Term:
        async with asyncio.timeout(within):
            return await self.over.get()


def elector(etcd: Etcd, name: str, timing: ElectionTiming = QUICK) -> Elector:
    candidate = Candidate(dispatcher_id=name, pid=1, pod=name, address=f"{name}:7071")
    return Elector(etcd, candidate, timing=timing)


async def until_led(one: Elector, *, by: str, term: int) -> Candidate:
    """Wait until it has heard of that leader, or a later one of that name."""
    async with asyncio.timeout(10.0):
        while (leader := one.leader) is None or leader.dispatcher_id != by or leader.term < term:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    return leader


@asynccontextmanager
async def running(one: Elector, turns: Turns) -> AsyncIterator[None]:
    task = asyncio.ensure_future(one.run(turns.lead))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def two_candidates(etcd: Etcd) -> None:
    watch = etcd.watch(etcd.keys.election)
    async for _ in watch:
        if len(watch.current) >= 2:
            break
    await watch.aclose()
