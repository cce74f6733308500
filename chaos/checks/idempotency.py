"""3 Idempotency: while the first task is kept, one (namespace, key) is one task; another request is a conflict."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.events import Phase, Submit, Transition
from chaos.history.record import History

NAME = "idempotency"
CONFLICT = "IdempotencyConflict"

Key = tuple[str, str]


def check(history: History) -> Iterator[Violation]:
    """A key has one task at a time, every answer names the task with that very request, conflicts have a cause."""
    inserts: dict[str, Transition] = {}
    owners: dict[Key, str] = {}
    for change in history.transitions:
        if change.old is None:
            inserts[change.task] = change
            yield from _inserted(owners, change)
        elif change.new is None and change.task in inserts:
            _forget(owners, inserts[change.task])
    for submit in history.submits:
        if submit.task in inserts:
            yield from _answered(submit, inserts[submit.task])


def _key(change: Transition) -> Key | None:
    return (change.placement.namespace, change.key) if change.placement and change.key else None


def _inserted(owners: dict[Key, str], change: Transition) -> Iterator[Violation]:
    if key := _key(change):
        if key in owners:
            yield Violation(NAME, f"key {key} made task {change.task} besides {owners[key]}", change.task)
        owners[key] = change.task


def _forget(owners: dict[Key, str], inserted: Transition) -> None:
    if (key := _key(inserted)) and owners.get(key) == inserted.task:
        del owners[key]


def _answered(submit: Submit, inserted: Transition) -> Iterator[Violation]:
    same_request = inserted.request is None or submit.request == inserted.request
    if submit.phase == Phase.OK:
        if not same_request:
            wrong = f"request {submit.request} was answered with task {submit.task} of request {inserted.request}"
            yield Violation(NAME, wrong, submit.task)
        if submit.key != inserted.key:
            wrong = f"key {submit.key} was answered with task {submit.task} of key {inserted.key}"
            yield Violation(NAME, wrong, submit.task)
        if submit.deduplicated and not submit.key:
            yield Violation(NAME, f"task {submit.task} was called a duplicate without a key", submit.task)
    elif submit.error == CONFLICT:
        if submit.key != inserted.key:
            yield Violation(
                NAME, f"key {submit.key} conflicts with task {submit.task}, whose key it isn't", submit.task
            )
        elif same_request and inserted.request is not None:
            yield Violation(NAME, f"the same request as task {submit.task}'s was refused as a conflict", submit.task)
