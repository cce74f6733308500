"""What was the case when each fault began, found in one walk over the history."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chaos.history.events import Injected, SessionChange, Transition
from chaos.history.record import History
from chaos.workloads.fleet import POISON_QUEUE

RUNNING = "RUNNING"
QUEUED = "QUEUED"


class Scene(NamedTuple):
    """The tasks that ran and waited as a fault began: of each session its tasks, and the attempts they were in."""

    fault: Injected
    running: dict[str, dict[str, int]]
    queued: int
    hosts: dict[str, SessionChange]

    def of_worker(self, worker: str) -> dict[str, int]:
        """The tasks that ran on a worker, with their attempts."""
        return self._of(session for session, change in self.hosts.items() if change.worker == worker)

    def of_dispatcher(self, part: str) -> dict[str, int]:
        """The tasks that ran in sessions of a dispatcher, with their attempts."""
        return self._of(self.sessions_at(part))

    def sessions_at(self, part: str) -> list[str]:
        """Live sessions that a dispatcher held, but for those of workers that their own tasks kill all the time."""
        return [
            session
            for session, change in self.hosts.items()
            if part_of(change.dispatcher) == part and POISON_QUEUE not in change.queues
        ]

    def _of(self, sessions: Iterable[str]) -> dict[str, int]:
        return {task: attempt for session in sessions for task, attempt in self.running.get(session, {}).items()}


def part_of(dispatcher: str) -> str:
    """The part's name in a dispatcher's id, which ends with a word that is new at each start."""
    return dispatcher.rpartition("-")[0] or dispatcher


def scenes(history: History) -> list[Scene]:
    """One for each fault, in the order in which they began."""
    faults = sorted(history.faults, key=lambda fault: fault.began)
    hosts = _hosts(history.sessions, faults)
    found: list[Scene] = []
    state = _State()
    for change in history.transitions:
        while len(found) < len(faults) and change.at > faults[len(found)].began:
            found.append(state.scene(faults[len(found)], hosts[len(found)]))
        state.follow(change)
    while len(found) < len(faults):
        found.append(state.scene(faults[len(found)], hosts[len(found)]))
    return found


class _State:
    def __init__(self) -> None:
        self._running: dict[str, dict[str, int]] = defaultdict(dict)
        self._session: dict[str, str] = {}
        self._queued = 0

    def follow(self, change: Transition) -> None:
        self._queued += (change.new == QUEUED) - (change.old == QUEUED)
        if change.old == RUNNING and (session := self._session.pop(change.task, None)):
            self._running[session].pop(change.task, None)
        if change.new == RUNNING and change.session:
            self._session[change.task] = change.session
            self._running[change.session][change.task] = change.attempt

    def scene(self, fault: Injected, hosts: dict[str, SessionChange]) -> Scene:
        running = {session: dict(tasks) for session, tasks in self._running.items() if tasks}
        return Scene(fault, running, self._queued, hosts)


def _hosts(changes: Sequence[SessionChange], faults: Sequence[Injected]) -> list[dict[str, SessionChange]]:
    """The live sessions as each fault began."""
    found: list[dict[str, SessionChange]] = []
    live: dict[str, SessionChange] = {}
    for change in changes:
        while len(found) < len(faults) and change.at > faults[len(found)].began:
            found.append(dict(live))
        if change.live:
            live[change.session] = change
        else:
            live.pop(change.session, None)
    return found + [dict(live)] * (len(faults) - len(found))
