"""Elections: one leader at a time, the next one in time, and never trust beyond the lease."""

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_dispatcher.leadership import ElectionTiming
from tests.stores.election import Turns, elector, running, two_candidates

CAMPAIGNER = Path(__file__).with_name("campaigner.py")


@asynccontextmanager
async def campaigning(settings: EtcdSettings, name: str, ttl: int) -> AsyncIterator[Process]:
    arguments = (settings.endpoints[0], settings.prefix, name, str(ttl))
    process = await asyncio.create_subprocess_exec(sys.executable, str(CAMPAIGNER), *arguments, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(process: Process, event: str, within: float = 10.0) -> dict[str, Any]:
    """Reads the campaigner's lines up to and including one about `event`."""
    assert process.stdout is not None
    async with asyncio.timeout(within):
        async for line in process.stdout:
            report: dict[str, Any] = json.loads(line)
            if report["event"] == event:
                return report
    raise AssertionError(f"the campaigner ended without {event}")


async def test_sigkill_of_the_leader_hands_over_within_seven_seconds(settings: EtcdSettings, etcd: Etcd) -> None:
    async with campaigning(settings, "victim", ttl=5) as victim:
        first = await heard(victim, "leads")
        turns = Turns()
        async with running(elector(etcd, "heir", ElectionTiming()), turns):
            await two_candidates(etcd)
            victim.kill()
            killed_at = time.monotonic()
            second = await turns.next_term(7.0)
            assert time.monotonic() - killed_at < 7.0
            assert second.number > first["term"]


async def test_sigterm_of_the_leader_hands_over_within_a_second(settings: EtcdSettings, etcd: Etcd) -> None:
    async with campaigning(settings, "leaver", ttl=5) as leaver:
        await heard(leaver, "leads")
        turns = Turns()
        async with running(elector(etcd, "heir", ElectionTiming()), turns):
            await two_candidates(etcd)
            leaver.terminate()
            await turns.next_term(1.0)
            await heard(leaver, "exits")


async def test_a_leader_that_was_stopped_does_nothing_more_when_it_wakes(settings: EtcdSettings, etcd: Etcd) -> None:
    async with campaigning(settings, "sleeper", ttl=2) as sleeper:
        first = await heard(sleeper, "acts")
        turns = Turns()
        async with running(elector(etcd, "heir"), turns):
            await two_candidates(etcd)
            sleeper.send_signal(signal.SIGSTOP)
            second = await turns.next_term()
            assert second.number > first["term"]
            woken_at = time.monotonic()
            sleeper.send_signal(signal.SIGCONT)
            assert sleeper.stdout is not None
            async with asyncio.timeout(5.0):
                async for line in sleeper.stdout:
                    report = json.loads(line)
                    if report["event"] == "stops":
                        break
                    # What it wrote before it was stopped is still in the pipe.
                    assert report["at"] < woken_at
            assert second.is_trusted()
