"""Submitting tasks in batches: how many go into one, and what becomes of each."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from taskyard import _status
from taskyard._calls import Calls
from taskyard._gen import task_service_pb2
from taskyard._gen.task_pb2 import TaskSpec
from taskyard.errors import FieldViolation, InvalidArgument, ServerError, TaskyardError, Unavailable

MAX_TASKS = 1000
# Of the 4 MiB that the server takes, with room for what frames each task.
MAX_BYTES = 4 * 1024 * 1024 - 64 * 1024
FRAME_BYTES = 8
BATCHES_AT_ONCE = 3
"""Batches of one `submit_all` on their way at the same time."""


class Accepted(NamedTuple):
    """A durable task; `deduplicated` if its idempotency key was known and this is the first task."""

    id: str
    deduplicated: bool


Outcome = Accepted | TaskyardError


Batch = tuple[list[int], list[TaskSpec]]
"""Tasks that travel together, and the place of each among all outcomes."""


def size_of(spec: TaskSpec) -> int:
    """The bytes it takes in a batch; raises InvalidArgument if it is too large for any."""
    size = spec.ByteSize() + FRAME_BYTES
    if size > MAX_BYTES:
        raise _too_large(size)
    return size


def _too_large(size: int) -> InvalidArgument:
    return InvalidArgument(violations=[FieldViolation("payload", f"makes a task of {size} bytes; too large to send")])


async def submit_all(calls: Calls, specs: Iterable[TaskSpec | TaskyardError]) -> list[Outcome]:
    """The outcome of each, in order; what is an error already stays one. Specs are drawn as they are sent."""
    outcomes: list[Outcome] = []
    batches = _split(specs, outcomes)
    try:
        async with asyncio.TaskGroup() as lanes:
            for _ in range(BATCHES_AT_ONCE):
                lanes.create_task(_submit_batches(calls, batches, outcomes))
    except ExceptionGroup as failed:
        # No call raises, so it was the caller's own iterable, which knows nothing of lanes.
        raise failed.exceptions[0] from None
    return outcomes


def _split(specs: Iterable[TaskSpec | TaskyardError], outcomes: list[Outcome]) -> Iterator[Batch]:
    """Batches in turn; `outcomes` grows along by one for each spec."""
    places: list[int] = []
    batch: list[TaskSpec] = []
    room = MAX_BYTES
    for place, spec in enumerate(specs):
        outcomes.append(_NOT_SENT)
        if isinstance(spec, TaskyardError):
            outcomes[place] = spec
            continue
        size = spec.ByteSize() + FRAME_BYTES
        if size > MAX_BYTES:
            outcomes[place] = _too_large(size)
            continue
        if len(batch) == MAX_TASKS or size > room:
            yield places, batch
            places, batch, room = [], [], MAX_BYTES
        places.append(place)
        batch.append(spec)
        room -= size
    if batch:
        yield places, batch


async def _submit_batches(calls: Calls, batches: Iterator[Batch], outcomes: list[Outcome]) -> None:
    for places, specs in batches:
        for place, outcome in zip(places, await submit(calls, specs), strict=True):
            outcomes[place] = outcome


_NOT_SENT = Unavailable("not sent")


async def submit(calls: Calls, specs: Sequence[TaskSpec]) -> list[Outcome]:
    """The outcome of each, in order. Raises nothing: a call that fails is the outcome of all its tasks.

    When the answer is lost, only tasks with an idempotency key are sent again: the others might run twice.
    """
    repeatable = [spec for spec in specs if spec.idempotency_key]
    all_repeatable = len(repeatable) == len(specs)
    try:
        return await _send(calls, specs, repeatable=all_repeatable)
    except TaskyardError as error:
        lost = isinstance(error, Unavailable) and error.outcome_unknown
        if all_repeatable or not repeatable or not lost:
            return [error] * len(specs)
        again = iter(await submit(calls, repeatable))
        return [next(again) if spec.idempotency_key else error for spec in specs]


async def _send(calls: Calls, specs: Sequence[TaskSpec], *, repeatable: bool) -> list[Outcome]:
    request = task_service_pb2.SubmitTasksRequest(tasks=specs, ids_only=True)
    response = await calls.call(
        lambda scheduler, limit: scheduler.tasks.SubmitTasks(request, timeout=limit), repeatable=repeatable
    )
    if len(response.results) != len(specs):
        raise ServerError(f"the server answered {len(response.results)} of {len(specs)} tasks")
    return list(_outcomes(response))


def _outcomes(response: task_service_pb2.SubmitTasksResponse) -> Iterator[Outcome]:
    for result in response.results:
        # An id is never empty; reading it is cheaper than asking which outcome is set.
        if task_id := result.task.id:
            yield Accepted(task_id, result.deduplicated)
        else:
            yield _status.of_item(result.error)
