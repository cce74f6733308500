"""A dispatcher that only stands for election: a program, so that it can be killed and stopped.

Usage: campaigner.py ENDPOINT PREFIX ID TTL. Writes one JSON object a line: what happened, the term,
and when on the monotonic clock, which all processes of a machine share. SIGTERM resigns.
"""

import asyncio
import json
import os
import signal
import sys
import time

from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.storage.etcd.records import Candidate
from taskyard_dispatcher.leadership import ElectionTiming, Elector, Term


def say(event: str, term: int) -> None:
    sys.stdout.write(json.dumps({"event": event, "term": term, "at": time.monotonic()}) + "\n")
    sys.stdout.flush()


async def act(term: Term) -> None:
    say("leads", term.number)
    try:
        while True:
            term.require()
            say("acts", term.number)
            await asyncio.sleep(0.01)
    finally:
        say("stops", term.number)


async def main() -> None:
    endpoint, prefix, name, ttl = sys.argv[1:]
    candidate = Candidate(dispatcher_id=name, pid=os.getpid(), pod=name, address=f"{name}:7071")
    timing = ElectionTiming(ttl=int(ttl), margin=int(ttl) / 5)
    async with Etcd(EtcdSettings(endpoints=(endpoint,), prefix=prefix)) as etcd:
        elector = Elector(etcd, candidate, timing=timing)
        running = asyncio.ensure_future(elector.run(act))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(elector.resign()))
        await running
    say("exits", 0)


asyncio.run(main())
