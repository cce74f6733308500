"""A client whose every call ends up in the journal, with what it then knows of it."""

from collections.abc import Iterable, Sequence

from chaos.history.events import EVERY, Call, Phase, Read, Submit, digest, encoded
from chaos.history.journal import Journal
from taskyard import Client, Task, TaskFilter, TaskHandle, TaskRequest
from taskyard.errors import (
    AccessDenied,
    BacklogFull,
    DeadlineExceeded,
    FailedPrecondition,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    TaskyardError,
    Unavailable,
)

_REFUSED = (AccessDenied, BacklogFull, FailedPrecondition, IdempotencyConflict, InvalidArgument, NotFound)

BULK = 100
"""As many ids as the answer to a bulk call names."""


def phase_of(error: TaskyardError) -> Phase:
    """What an error says of the call: refused for sure, or perhaps carried out."""
    if isinstance(error, (Unavailable, DeadlineExceeded)):
        return Phase.UNKNOWN if error.outcome_unknown else Phase.FAILED
    return Phase.FAILED if isinstance(error, _REFUSED) else Phase.UNKNOWN


def _known(outcome: TaskHandle | TaskyardError) -> tuple[Phase, str | None, str | None]:
    """Phase, the task that the answer named, and the error."""
    if isinstance(outcome, TaskHandle):
        return Phase.OK, outcome.id, None
    owner = outcome.task_id if isinstance(outcome, IdempotencyConflict) else ""
    return phase_of(outcome), owner or None, type(outcome).__name__


class Recorder:
    """Calls made by one workload."""

    def __init__(self, client: Client, journal: Journal, workload: str) -> None:
        self._client = client
        self._journal = journal
        self._workload = workload

    async def submit(self, requests: Sequence[TaskRequest]) -> list[TaskHandle | TaskyardError]:
        """Submits in batches; one outcome for each."""
        invoked = self._journal.now()
        outcomes = await self._client.submit_many(requests)
        returned = self._journal.now()
        self._journal.append(*(self._submit(invoked, returned, *pair) for pair in zip(requests, outcomes, strict=True)))
        return outcomes

    def _submit(self, invoked: float, returned: float, of: TaskRequest, outcome: TaskHandle | TaskyardError) -> Submit:
        phase, task, error = _known(outcome)
        return Submit(
            invoked=invoked,
            returned=returned,
            client=self._workload,
            workload=self._workload,
            namespace=self._client.namespace,
            key=of.idempotency_key or None,
            request=digest(encoded(of.payload)),
            phase=phase,
            task=task,
            deduplicated=isinstance(outcome, TaskHandle) and outcome.deduplicated,
            error=error,
            queue=of.queue or "default",
            type=of.type,
            selector=of.selector,
            priority=5 if of.priority is None else of.priority,
            delay=of.delay if isinstance(of.delay, (int, float)) else None,
            max_attempts=of.retry.max_attempts if of.retry else None,
        )

    async def get(self, task: str) -> Task | None:
        """The task as it is; None if that can't be known now, or there is none."""
        invoked = self._journal.now()
        try:
            found = await self._client.get(task)
        except NotFound:
            self._journal.append(Read(invoked, self._journal.now(), self._workload, task, None))
            return None
        except TaskyardError:
            return None
        return self._read(invoked, found)

    async def wait(self, task: str, timeout: float) -> Task | None:
        """The task once it is over; None if that takes longer, or there is none."""
        invoked = self._journal.now()
        try:
            found = await self._client.wait(task, timeout)
        except TaskyardError:
            return None
        return self._read(invoked, found)

    async def cancel(self, task: str) -> Task | None:
        """The task after it was asked to stop; None if that failed."""
        return await self._call("cancel", task)

    async def redrive(self, task: str) -> Task | None:
        """The task queued again; None if that failed."""
        return await self._call("redrive", task)

    async def redrive_many(self, filter: TaskFilter) -> Sequence[str]:
        """Redrives dead letters, at most BULK; the ids of those that surely were."""
        return await self._bulk("redrive", filter)

    async def purge_many(self, filter: TaskFilter) -> Sequence[str]:
        """Deletes dead letters, at most BULK; the ids of those that surely were."""
        return await self._bulk("purge", filter)

    async def _call(self, verb: str, task: str) -> Task | None:
        invoked = self._journal.now()
        try:
            found = await (self._client.cancel(task) if verb == "cancel" else self._client.redrive(task))
        except TaskyardError as error:
            self._called(invoked, verb, [task], error)
            return None
        call = Call(invoked, self._journal.now(), self._workload, verb, task, Phase.OK, found.state)
        self._journal.append(call)
        return self._read(invoked, found)

    async def _bulk(self, verb: str, filter: TaskFilter) -> Sequence[str]:
        invoked = self._journal.now()
        act = self._client.redrive_many if verb == "redrive" else self._client.purge_many
        try:
            affected = await act(filter, limit=BULK)
        except TaskyardError as error:
            self._called(invoked, verb, [EVERY], error)
            return ()
        self._called(invoked, verb, affected.ids, None)
        return affected.ids

    def _called(self, invoked: float, verb: str, tasks: Iterable[str], error: TaskyardError | None) -> None:
        phase, name = (phase_of(error), type(error).__name__) if error else (Phase.OK, None)
        returned = self._journal.now()
        calls = [Call(invoked, returned, self._workload, verb, task, phase, None, name) for task in tasks]
        self._journal.append(*calls)

    def _read(self, invoked: float, found: Task) -> Task:
        read = Read(invoked, self._journal.now(), self._workload, found.id, found.state, found.attempt)
        self._journal.append(read)
        return found
