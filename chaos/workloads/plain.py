"""Tasks that succeed: plain ones, slow ones, large ones, ones of all priorities, and ones for certain workers."""

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from chaos.workloads.deeds import RESULT_LIMIT
from chaos.workloads.stream import Stream
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import TaskRequest

SUCCEEDED = frozenset({"SUCCEEDED"})

PAYLOAD_LIMIT = 256 * 1024


class Plain(Stream):
    """Nothing special, and most of the load."""

    name = "plain"
    expected: ClassVar = {"chaos.plain": SUCCEEDED}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Small tasks that end at once."""
        return [TaskRequest("chaos.plain", {"token": token(stage.draw)}) for _ in range(count)]


class Slow(Stream):
    """Tasks of seconds, so that many run whenever something dies."""

    name = "slow"
    expected: ClassVar = {"chaos.slow": SUCCEEDED}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks of one to six seconds."""
        return [
            TaskRequest("chaos.slow", {"token": token(stage.draw), "seconds": stage.draw.uniform(1.0, 6.0)})
            for _ in range(count)
        ]


class Priorities(Stream):
    """All eleven priorities at once; every one of them makes progress, in which order is not promised."""

    name = "priorities"
    expected: ClassVar = {"chaos.priority": SUCCEEDED}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks of random priority."""
        return [
            TaskRequest("chaos.priority", {"token": token(stage.draw)}, priority=stage.draw.randint(0, 10))
            for _ in range(count)
        ]


class Placed(Stream):
    """Tasks that only some workers may run; `fleet` has workers for each of the selectors."""

    name = "placed"
    expected: ClassVar = {"chaos.placed": SUCCEEDED}

    SELECTORS = (
        "zone=a",
        "zone in (a,b)",
        "zone notin (a),!spot",
        "memory_gb>=16",
        "gpu,memory_gb>=32",
        "spot",
        "zone!=c",
        "!gpu,zone",
    )

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Tasks that take a moment, so that slots fill."""
        return [
            TaskRequest(
                "chaos.placed",
                {"token": token(stage.draw), "seconds": stage.draw.random() * 0.05},
                selector=stage.draw.choice(self.SELECTORS),
            )
            for _ in range(count)
        ]


class Large(Stream):
    """Payloads and results up to the last byte that is allowed, and payloads one byte too large."""

    name = "large"
    expected: ClassVar = {"chaos.large": SUCCEEDED}

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """A few large tasks; one in ten is refused."""
        return [self._request(stage) for _ in range(min(count, 8))]

    def _request(self, stage: Stage) -> TaskRequest:
        answer = stage.draw.random()
        payload: dict[str, Any] = {"token": token(stage.draw), "echo": answer < 0.4, "bulk": ""}
        size = PAYLOAD_LIMIT + 1 if stage.draw.random() < 0.1 else stage.draw.choice((PAYLOAD_LIMIT, 50_000))
        if answer > 0.7:
            payload["returns"] = RESULT_LIMIT
        payload["bulk"] = "x" * (size - len(orjson.dumps(payload)))
        return TaskRequest("chaos.large", payload)
