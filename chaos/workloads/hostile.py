"""Handlers that do what no handler should, on workers that run everybody else's tasks, too."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from chaos.checks.violation import Violation
from chaos.history.events import Transition
from chaos.history.record import History
from chaos.workloads.deeds import DEEDS
from chaos.workloads.failing import FAILED
from chaos.workloads.plain import SUCCEEDED
from chaos.workloads.stream import Stream, final_states
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import RetryPolicy, TaskRequest

CRASH_LOOP = "CRASH_LOOP"
FEW = 3
"""Tasks of one deed that may have met a killed worker in each of their attempts."""
TIMEOUT = 1.0
"""Seconds; for those that would not end by themselves."""


class Hostile(Stream):
    """Each deed has one right outcome, and costs nobody else anything: its neighbours are the other workloads."""

    name = "hostile"
    expected: ClassVar = {type_: FAILED if deed.error else SUCCEEDED for type_, deed in DEEDS.items()}

    ONCE = RetryPolicy(max_attempts=1)

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks of all deeds."""
        return [self._request(stage) for _ in range(count)]

    def _request(self, stage: Stage) -> TaskRequest:
        type_ = stage.draw.choice(list(DEEDS))
        payload: dict[str, Any] = {"token": token(stage.draw)}
        if type_.endswith("counts-far"):
            payload["number"] = 2**64 + stage.draw.getrandbits(80)
        timeout = TIMEOUT if DEEDS[type_].error == "TIMEOUT" else None
        return TaskRequest(type_, payload, retry=self.ONCE, timeout=timeout)

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, each failure is that of its deed, and the attempt before was not the end of a worker."""
        yield from super().check(history)
        types = {submit.task or "": submit.type for submit in history.submits if submit.workload == self.name}
        for task, end in final_states(history).items():
            type_ = types.get(task)
            if type_ and end.new == "FAILED" and end.reason not in (CRASH_LOOP, DEEDS[type_].error):
                yield Violation(self.name, f"task {task} of type {type_} failed with {end.reason}", task)
        yield from self._deadly(types, final_states(history))

    def _deadly(self, types: Mapping[str, str], ends: Mapping[str, Transition]) -> Iterator[Violation]:
        """Deeds that end their workers: a worker that is killed may take any task with it, but not most of one kind."""
        reasons: dict[str, list[bool]] = defaultdict(list)
        for task, end in ends.items():
            if task in types:
                reasons[types[task]].append(end.reason == CRASH_LOOP)
        for type_, crashed in sorted(reasons.items()):
            if sum(crashed) >= FEW and sum(crashed) * 2 > len(crashed):
                yield Violation(
                    self.name, f"{sum(crashed)} of {len(crashed)} tasks of type {type_} ended their workers"
                )
