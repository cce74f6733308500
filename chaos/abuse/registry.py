"""Abuses by name. A new one is a function and a line here."""

from collections.abc import Mapping
from typing import NamedTuple

from chaos.abuse import connections, names, requests, sessions
from chaos.abuse.target import Act


class Abuse(NamedTuple):
    """What is done, in words and as a function that returns when the target's time is over."""

    what: str
    act: Act


ABUSES: Mapping[str, Abuse] = {
    "unknown-lanes": Abuse("30,000 tasks with a selector each that nobody satisfies", names.lanes),
    "queue-names": Abuse("30,000 queue names", names.queues),
    "listings": Abuse("30 clients that list by what no index has", names.lists),
    "full-batches": Abuse("64 batches of 3.9 MiB at once", requests.batches),
    "broken-bodies": Abuse("bodies of 5 MiB in which everything is wrong", requests.bodies),
    "slow-readers": Abuse("watches that nobody reads, 5,000 waits and 2,000 submits at once", requests.readers),
    "silent-connections": Abuse("1,000 connections to each HTTP port that stop half-way", connections.silent),
    "endless-headers": Abuse("requests whose headers do not end", connections.headers),
    "giant-hellos": Abuse("hellos of 261 KiB, 16 a second", sessions.hellos),
    "unheld-results": Abuse("results for attempts it does not hold, without pause", sessions.unheld),
    "large-results": Abuse("800 results of 1 MiB at once", sessions.large),
}
