"""How long the cluster took to recover from each fault, as the history tells it.

A duration counts for the bound only if the fault was alone: no other was there from `QUIET` seconds before it began
until the recovery was over, and no more tasks were waiting than workers take within seconds. The others are shown
beside.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from chaos.history.events import Injected, Started, Transition
from chaos.history.record import History
from chaos.measures.scene import RUNNING, Scene, scenes
from chaos.measures.spread import spread
from chaos.result import Recovery, Share

QUIET = 10.0
"""Seconds after which an earlier fault explains nothing any more: sessions are reaped again after an outage."""
BACKLOG = 2_000
"""With more tasks queued, a task's start says more about the queue than about the recovery."""
PAUSE = 5.0
"""Seconds after a loss of Redis in which a pause in dispatch is laid to it."""
NEVER = 999.0
"""Stands for a session that never said hello again."""
RERUN_BOUND = 0.001
LOST_REDIS = ("flush-redis", "wipe-redis", "promote-replica", "kill-redis")
LOST_POSTGRES = ("kill-postgres", "stop-postgres-at-once", "terminate-postgres", "freeze-postgres", "promote-standby")


class Duration(NamedTuple):
    """From a moment of a fault to what ended its effect."""

    fault: Injected
    seconds: float
    until: float


Measure = Callable[["Evidence", Scene], Iterable[Duration]]


class Kind(NamedTuple):
    """A recovery that is measured: after which faults, how, and what p99 may be."""

    name: str
    what: str
    bound: float
    faults: tuple[str, ...]
    measure: Measure


class Evidence:
    """Indexes over the parts of a history that the measures ask for."""

    def __init__(self, history: History, found: Sequence[Scene]) -> None:
        self.hellos = [change for change in history.sessions if change.live]
        self.terms = sorted(term.at for term in history.terms)
        self.answers = sorted(submit.returned for submit in history.submits if submit.phase == "ok")
        self.claims = [change.at for change in history.transitions if change.new == RUNNING != change.old]
        struck = {task for scene in found for task in _struck(scene)}
        self.changes: Mapping[str, Sequence[Transition]] = _of_tasks(history.transitions, struck)
        self.starts: Mapping[tuple[str, int], float] = _starts(history.started, struck)


def recoveries(history: History, bounds: Mapping[str, float]) -> list[Recovery]:
    """One for each kind that has a measure of its own, then one for each other fault; `bounds` are the faults' own."""
    found = scenes(history)
    evidence = Evidence(history, found)
    alone = _Solitude(found)
    named = [_recovery(kind.name, kind.what, kind.bound, _measured(kind, evidence, found), alone) for kind in KINDS]
    passages = _passages(history)
    others = [
        _recovery(name, PASSAGE, bounds.get(name), passages[name], alone)
        for name in sorted({scene.fault.fault for scene in found})
    ]
    return [recovery for recovery in (*named, *others) if recovery.alone or recovery.overlapped]


def shares(history: History) -> list[Share]:
    """How much was run again because a dispatcher died, which should be almost nothing."""
    found = [scene for scene in scenes(history) if scene.fault.fault in ("kill-dispatcher", "kill-leader")]
    alone = _Solitude(scenes(history))
    evidence = Evidence(history, found)
    whole = part = 0
    for scene in found:
        if not alone.holds(scene.fault, scene.fault.began + QUIET):
            continue
        tasks = scene.of_dispatcher(scene.fault.target)
        whole += len(tasks)
        part += sum(_lost(evidence.changes[task], attempt) for task, attempt in tasks.items())
    return [Share("running tasks run again after a dispatcher's death", part, whole, RERUN_BOUND, part <= whole / 1000)]


PASSAGE = "from the fault's end until a task submitted after it had succeeded"


def _measured(kind: Kind, evidence: Evidence, found: Iterable[Scene]) -> list[Duration]:
    return [
        duration for scene in found if scene.fault.fault in kind.faults for duration in kind.measure(evidence, scene)
    ]


def _recovery(name: str, what: str, bound: float | None, durations: Iterable[Duration], alone: "_Solitude") -> Recovery:
    counted: list[float] = []
    shown: list[float] = []
    for duration in durations:
        if alone.holds(duration.fault, duration.until):
            counted.append(round(duration.seconds, 4))
        elif duration.seconds < NEVER:  # else the other fault took the worker too
            shown.append(round(duration.seconds, 4))
    of_counted = spread(counted)
    within = None if of_counted is None or bound is None else of_counted.p99 <= bound
    return Recovery(name, what, bound, counted, shown, of_counted, spread(shown), within)


class _Solitude:
    """Which faults nothing else explains."""

    def __init__(self, found: Sequence[Scene]) -> None:
        self._spans = sorted((scene.fault.began, _end(scene.fault), scene.fault) for scene in found)
        self._crowded = {scene.fault for scene in found if scene.queued > BACKLOG}

    def holds(self, fault: Injected, until: float) -> bool:
        """Whether no other fault was near it until then."""
        if fault in self._crowded:
            return False
        return not any(
            other != fault and began < until and ended + QUIET > fault.began for began, ended, other in self._spans
        )


def _end(fault: Injected) -> float:
    return fault.began if fault.healed is None else fault.healed


def _struck(scene: Scene) -> dict[str, int]:
    if scene.fault.fault == "kill-worker":
        return scene.of_worker(scene.fault.target)
    if scene.fault.fault in ("kill-dispatcher", "kill-leader"):
        return scene.of_dispatcher(scene.fault.target)
    return {}


def _of_tasks(transitions: Iterable[Transition], tasks: set[str]) -> dict[str, list[Transition]]:
    found: dict[str, list[Transition]] = defaultdict(list)
    for change in transitions:
        if change.task in tasks:
            found[change.task].append(change)
    return found


def _starts(started: Iterable[Started], tasks: set[str]) -> dict[tuple[str, int], float]:
    return {(start.task, start.attempt): start.at for start in started if start.task in tasks}


def _lost(changes: Iterable[Transition], attempt: int) -> bool:
    """Whether an attempt ended by the loss of its session."""
    crashes = [change.crashes for change in changes if change.new == RUNNING and change.attempt == attempt]
    return any(
        change.old == RUNNING and change.new != RUNNING and change.crashes > crashes[0]
        for change in changes
        if crashes and change.attempt == attempt
    )


def _runs_again(evidence: Evidence, scene: Scene) -> Iterable[Duration]:
    for task, attempt in scene.of_worker(scene.fault.target).items():
        began = evidence.starts.get((task, attempt + 1))
        if began is not None and _lost(evidence.changes[task], attempt):
            yield Duration(scene.fault, began - scene.fault.began, began)


def _hello_elsewhere(evidence: Evidence, scene: Scene) -> Iterable[Duration]:
    waiting = {session: scene.hosts[session].dispatcher for session in scene.sessions_at(scene.fault.target)}
    for hello in evidence.hellos:
        if hello.at > scene.fault.began and hello.dispatcher != waiting.get(hello.session, hello.dispatcher):
            del waiting[hello.session]
            yield Duration(scene.fault, hello.at - scene.fault.began, hello.at)
    for _ in waiting:
        yield Duration(scene.fault, NEVER, scene.fault.began + QUIET)


def _first_after(moments: Sequence[float], scene: Scene, since: float) -> list[Duration]:
    index = bisect_right(moments, since)
    return [Duration(scene.fault, moments[index] - since, moments[index])] if index < len(moments) else []


def _next_term(evidence: Evidence, scene: Scene) -> Iterable[Duration]:
    return _first_after(evidence.terms, scene, scene.fault.began)


def _pause(evidence: Evidence, scene: Scene) -> Iterable[Duration]:
    """The longest time without a claim, from the fault until a while after it: claims under way then don't end it."""
    until = _end(scene.fault) + PAUSE
    inside = slice(bisect_right(evidence.claims, scene.fault.began), bisect_right(evidence.claims, until) + 1)
    moments = [scene.fault.began, *evidence.claims[inside]]
    pauses = [Duration(scene.fault, later - earlier, later) for earlier, later in pairwise(moments)]
    return [max(pauses, key=lambda pause: pause.seconds)] if pauses else []


def _next_answer(evidence: Evidence, scene: Scene) -> Iterable[Duration]:
    return _first_after(evidence.answers, scene, _end(scene.fault))


def _passages(history: History) -> dict[str, list[Duration]]:
    """Of each fault's name: how long after its end the first task of later submission had succeeded."""
    waiting = sorted(history.faults, key=_end, reverse=True)
    open_, found = list[Injected](), defaultdict[str, list[Duration]](list)
    made: dict[str, float] = {}
    for change in history.transitions:
        while waiting and _end(waiting[-1]) < change.at:
            open_.append(waiting.pop())
        if change.old is None:
            made[change.task] = change.at
        elif change.new == "SUCCEEDED" and open_:
            since = made.get(change.task, 0.0)
            for fault in [fault for fault in open_ if _end(fault) <= since]:
                open_.remove(fault)
                found[fault.fault].append(Duration(fault, change.at - _end(fault), change.at))
    return found


KINDS = (
    Kind("worker killed", "until its running tasks run again, each", 5.0, ("kill-worker",), _runs_again),
    Kind(
        "dispatcher killed",
        "until each of its workers has said hello to another",
        2.0,
        ("kill-dispatcher", "kill-leader"),
        _hello_elsewhere,
    ),
    Kind("leader killed", "until the next one leads", 7.0, ("kill-leader",), _next_term),
    Kind("leader terminated", "until the next one leads", 1.0, ("terminate-leader",), _next_term),
    Kind("Redis lost", "the longest pause in dispatch meanwhile and after", 2.0, LOST_REDIS, _pause),
    Kind("Postgres back", "until a submit is accepted again", 3.0, LOST_POSTGRES, _next_answer),
)
