"""Places between two steps where an experiment can make a server die, stop, wait or lose an answer.

Off unless an experiment asks for it; then `reach` costs one comparison, once a batch. What an experiment asks for is
written `<place>=<action>[:<probability>][#<times>]`, separated by `;`: `claimed=crash:0.01; duty-outbox=stop#1`.
Actions are `crash` (SIGKILL), `stop` (SIGSTOP), `sleep(<seconds>)`, and `error`: the answer of a store was lost.
"""

import asyncio
import logging
import os
import random
import re
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

DUTIES = ("outbox", "promotion", "expiry", "reaping", "rebuild", "audit", "retention")
"""Duties with transactions; `duty-<name>` is reached inside each of them, before its commit."""

PLACES = {
    "submit-committed": "submissions are stored, not published",
    "lane-taken": "entries are read from the lanes, not claimed",
    "claimed": "claims are committed, neither acknowledged nor sent",
    "result-received": "results have come, their outcomes are not stored",
    "outcome-committed": "outcomes are stored, their workers not told",
    **{f"duty-{name}": f"the transaction of the leader's duty {name} is open" for name in DUTIES},
}
"""Every place, and what is true there."""

ACTIONS = ("crash", "stop", "sleep", "error")
_FIRST = 1
"""The id of a container's first process, which Linux lets nobody inside stop."""

Hook = Callable[[str], Awaitable[None]]

_RULE = re.compile(
    r"(?P<place>[\w-]+) *= *(?P<action>\w+)(?:\((?P<seconds>[\d.]+)\))?"
    r"(?::(?P<probability>[\d.]+))?(?:#(?P<times>\d+))?"
)
_installed: list[Hook] = []


async def reach(place: str) -> None:
    """Say that execution is at a place. One call a batch, never one a task."""
    if _installed:
        await _installed[0](place)


def install(hook: Hook | None) -> None:
    """Have a hook called at every place; None turns failpoints off."""
    _installed[:] = [] if hook is None else [hook]


def arm(text: str) -> None:
    """Do from now on what a valid text asks for, and say so; an empty one turns failpoints off."""
    rules = parse(text)
    install(Failpoints(rules) if rules else None)
    for rule in rules:
        _log.warning("failpoint is on, this server will fail on purpose: %s", rule)


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens at a place: how likely each time, and at most how often in this process (0: no limit)."""

    place: str
    action: str
    seconds: float = 0.0
    probability: float = 1.0
    times: int = 0


def parse(text: str) -> list[Rule]:
    """The rules of a text; raises ValueError that names what is wrong and what would be right."""
    return [_rule(part.strip()) for part in text.split(";") if part.strip()]


def check(text: str, pid: int) -> None:
    """Raise ValueError unless `arm` takes this text, and the process of that id can do all that it asks for."""
    rules = parse(text)
    if pid == _FIRST and any(rule.action == "stop" for rule in rules):
        raise ValueError("stop: process 1 of a container cannot stop itself; give the container an init")


def _rule(text: str) -> Rule:
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not <place>=<action>[:<probability>][#<times>]")
    place, action, seconds = match["place"], match["action"], match["seconds"]
    if place not in PLACES:
        raise ValueError(f"no failpoint is called {place!r}; there are {', '.join(PLACES)}")
    if action not in ACTIONS:
        raise ValueError(f"no action is called {action!r}; there are {', '.join(ACTIONS)}")
    if (action == "sleep") != (seconds is not None):
        raise ValueError(f"{text!r}: sleep(<seconds>) needs a time, other actions take none")
    probability = _number(match["probability"] or "1")
    if not 0 < probability <= 1:
        raise ValueError(f"{text!r}: a probability is above 0 and at most 1")
    if match["times"] == "0":
        raise ValueError(f"{text!r}: a number of times is at least 1")
    return Rule(place, action, _number(seconds or "0"), probability, int(match["times"] or 0))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


class Failpoints:
    """A hook that does what rules say. Several rules for one place are tried in order."""

    def __init__(self, rules: Iterable[Rule], draw: Callable[[], float] = random.random) -> None:
        self._rules: dict[str, list[Rule]] = {}
        self._left: dict[Rule, int] = {}
        self._draw = draw
        for rule in rules:
            self._rules.setdefault(rule.place, []).append(rule)
            self._left[rule] = rule.times

    async def __call__(self, place: str) -> None:
        """See Hook."""
        for rule in self._rules.get(place, ()):
            if self._draw() < rule.probability and self._may(rule):
                await _act(rule)

    def _may(self, rule: Rule) -> bool:
        if not rule.times:
            return True
        self._left[rule] -= 1
        return self._left[rule] >= 0


async def _act(rule: Rule) -> None:
    _log.warning("failpoint reached: %s", rule)
    match rule.action:
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
            os._exit(128 + signal.SIGKILL)  # process 1 of a container survives its own signal
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            await asyncio.sleep(rule.seconds)
        case "error":
            raise StoreUnavailable("failpoint", rule.place)
