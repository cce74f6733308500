"""Tasks that fail, or take their worker with them."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from chaos.checks.violation import Violation
from chaos.history.record import History
from chaos.workloads.fleet import POISON_QUEUE
from chaos.workloads.plain import SUCCEEDED
from chaos.workloads.stream import Stream, final_states
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import RetryPolicy, TaskRequest

FAILED = frozenset({"FAILED"})
FEW = 4
"""Tasks at once of those that kill their worker: it takes a second to come back."""


class Retries(Stream):
    """Handlers that fail a few times, for good, or once too often."""

    name = "retries"
    expected: ClassVar = {"chaos.flaky": SUCCEEDED, "chaos.hopeless": FAILED, "chaos.failing": FAILED}

    POLICY = RetryPolicy(max_attempts=3, initial_backoff=0.2, multiplier=2.0, max_backoff=2.0, jitter=0.2)

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Mostly tasks that succeed in the end."""
        return [self._request(stage) for _ in range(count)]

    def _request(self, stage: Stage) -> TaskRequest:
        payload: dict[str, Any] = {"token": token(stage.draw)}
        type_ = stage.draw.choices(("chaos.flaky", "chaos.hopeless", "chaos.failing"), (8, 1, 1))[0]
        match type_:
            case "chaos.flaky":
                payload["failures"] = stage.draw.randint(1, 2)
            case "chaos.hopeless":
                payload["hopeless"] = True
            case "chaos.failing":
                payload["failures"] = 1000
        return TaskRequest(type_, payload, retry=self.POLICY)

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, what failed for good used exactly its budget."""
        yield from super().check(history)
        types = {submit.task: submit.type for submit in history.submits if submit.workload == self.name}
        used = {"chaos.hopeless": 1, "chaos.failing": 3}
        for task, end in final_states(history).items():
            wanted = used.get(types.get(task, ""))
            if wanted and end.new == "FAILED" and end.reason != "CRASH_LOOP" and end.failures != wanted:
                yield Violation(self.name, f"task {task} failed {end.failures} times instead of {wanted}", task)


class Poison(Stream):
    """Tasks that kill their worker: some once or twice, some each time, until they are put in quarantine."""

    name = "poison"
    expected: ClassVar = {"chaos.shaky": SUCCEEDED, "chaos.poison": frozenset()}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """A few at a time, in a queue that only the doomed workers of `fleet` serve."""
        return [self._request(stage) for _ in range(min(count, FEW))]

    def _request(self, stage: Stage) -> TaskRequest:
        deadly = stage.draw.random() < 0.3
        kills = 1000 if deadly else stage.draw.randint(1, 2)
        return TaskRequest(
            "chaos.poison" if deadly else "chaos.shaky",
            {"token": token(stage.draw), "kills": kills},
            queue=POISON_QUEUE,
        )
