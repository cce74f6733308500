"""Submitting with idempotency keys: the same again, the same key for something else, unknown answers once more."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from chaos.checks.idempotency import CONFLICT
from chaos.checks.violation import Violation
from chaos.history.events import Phase
from chaos.history.record import History
from chaos.workloads.plain import SUCCEEDED
from chaos.workloads.recorder import Recorder, phase_of
from chaos.workloads.stream import Stream
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import TaskHandle, TaskRequest


class Keyed(Stream):
    """Each task has a key; what is unknown is sent again, and some are sent again for no reason, or changed."""

    name = "keyed"
    expected: ClassVar = {"chaos.keyed": SUCCEEDED}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks with new keys, some of them twice in the same batch."""
        fresh = [_request(token(stage.draw), token(stage.draw)) for _ in range(count)]
        return fresh + stage.draw.sample(fresh, k=len(fresh) // 10)

    async def submit(self, stage: Stage, recorder: Recorder, requests: Sequence[TaskRequest]) -> list[str]:
        """Sends until each has a known answer, then some of them again."""
        accepted: list[str] = []
        waiting = list(requests)
        while waiting and not stage.stop.is_set():
            outcomes = await recorder.submit(waiting)
            accepted += [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
            waiting = [
                request
                for request, outcome in zip(waiting, outcomes, strict=True)
                if not isinstance(outcome, TaskHandle) and phase_of(outcome) is Phase.UNKNOWN
            ]
        again = stage.draw.sample(list(requests), k=max(1, len(requests) // 10))
        other = [_request(request.idempotency_key or "", token(stage.draw)) for request in again[::2]]
        await recorder.submit([*again, *other])
        return accepted

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, a key that was acknowledged for one request is acknowledged for no other."""
        yield from super().check(history)
        requests: dict[str, str] = {}
        for submit in history.submits:
            if submit.workload == self.name and submit.key:
                if submit.phase == Phase.OK and requests.setdefault(submit.key, submit.request) != submit.request:
                    yield Violation(self.name, f"key {submit.key} was accepted for two requests", submit.task)
                if submit.error == CONFLICT and submit.task is None:
                    yield Violation(self.name, f"the conflict of key {submit.key} names no task")


def _request(key: str, content: str) -> TaskRequest:
    return TaskRequest("chaos.keyed", {"token": content}, idempotency_key=key)
