"""What a chain is, and what must have come of it: pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taskyard import Task, TaskRequest, TaskState

QUEUE = "polyglot"
LANGUAGES = ("python", "go", "typescript")
HOPS = 6
"""Each language comes up twice in a chain."""


def language_of(hop: int) -> str:
    """Who does a hop; the handlers in Go and TypeScript count the same."""
    return LANGUAGES[hop % len(LANGUAGES)]


def step(chain: int, path: Sequence[str]) -> TaskRequest:
    """The next hop of a chain that has come along `path`. One that is submitted twice is one task."""
    hop = len(path)
    return TaskRequest(
        f"polyglot.{language_of(hop)}",
        {"chain": chain, "hops": HOPS, "path": list(path)},
        queue=QUEUE,
        idempotency_key=f"polyglot-{chain}-{hop}",
    )


def onward(payload: Mapping[str, Any], language: str) -> tuple[list[str], TaskRequest | None]:
    """The path with this hop, and the next hop's task, if there is one."""
    path = [*payload["path"], language]
    return path, step(payload["chain"], path) if len(path) < payload["hops"] else None


def problems(chains: int, tasks: Sequence[Task]) -> Iterator[str]:
    """What is not as it must be; nothing when all is well."""
    hops: dict[int, Counter[int]] = defaultdict(Counter)
    for task in tasks:
        payload = task.payload
        hops[payload["chain"]][len(payload["path"])] += 1
        if task.state is not TaskState.SUCCEEDED:
            yield f"task {task.id} of chain {payload['chain']} is {task.state.value}"
        elif task.result != [language_of(hop) for hop in range(len(payload["path"]) + 1)]:
            yield f"task {task.id} returned {task.result}"
    whole = Counter(range(HOPS))
    wrong = [chain for chain in range(chains) if hops[chain] != whole]
    if wrong:
        yield f"{len(wrong)} chains have not each hop once, the first: {wrong[0]} with {dict(hops[wrong[0]])}"
