"""Hello: a worker's first words become a session, whether it is new, back, or comes from a dispatcher that is gone."""

import uuid
from collections.abc import Iterable, Mapping

from dispatcher import frames
from dispatcher.sessions import Running, Session
from scheduler.clock import Clock
from scheduler.domain import limits, selectors, submission
from scheduler.domain.matching import Capabilities
from scheduler.domain.violations import Violation
from scheduler.storage.sessions import Held, SessionRecord, Sessions
from scheduler.telemetry import Runner
from scheduler.wire.gen import worker_service_pb2 as wire


class Adoption:
    """Takes sessions over. From then on no other dispatcher can claim for them."""

    def __init__(self, dispatcher: str, sessions: Sessions, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._clock = clock

    async def welcome(self, hello: wire.Hello) -> tuple[Session, SessionRecord]:
        """The session of a hello, holding all it runs, with what it lacks ready to be sent.

        Raises Violation naming the field, NamespaceMismatch, StoreUnavailable.
        """
        record = session_record(hello, self._dispatcher)
        generation = await self._sessions.hello(record)
        held = await self._sessions.held(record.id)
        session = Session(
            id=record.id,
            generation=generation,
            runner=Runner(record.id, record.worker, record.pod),
            capabilities=Capabilities(
                record.namespace, frozenset(record.types), frozenset(record.queues), dict(record.labels)
            ),
            slots=record.slots,
            draining=record.draining,
        )
        reconcile(session, held, {(ref.task_id, ref.attempt) for ref in hello.running}, self._clock.monotonic())
        return session, record


def reconcile(session: Session, held: Iterable[Held], known: set[tuple[str, int]], now: float) -> None:
    """Bring session and worker in line with Postgres: hold its rows, resend what the worker lacks, stop the rest."""
    rows = {(row.task.task_id, row.task.attempt): row for row in held}
    running = [Running(row.task, now, row.cancel_requested) for row in rows.values()]
    missing = [row.task for attempt, row in rows.items() if attempt not in known]
    session.assign(running, (frames.assignment(task, resent=True) for task in missing))
    session.stop(frames.stop(*attempt, wire.STOP_REASON_LOST) for attempt in known - rows.keys())
    session.stop(
        frames.stop(*attempt, wire.STOP_REASON_CANCELLED) for attempt, row in rows.items() if row.cancel_requested
    )


def session_record(hello: wire.Hello, dispatcher: str) -> SessionRecord:
    """What a hello says, validated; raises Violation naming the field."""
    _check_counts(hello)
    labels: Mapping[str, str] = dict(hello.labels)
    selectors.check_labels(labels)
    return SessionRecord(
        id=_session_id(hello.session_id),
        namespace=submission.name("namespace", hello.namespace) if hello.namespace else "default",
        worker=_text("worker", hello.worker) or hello.session_id,
        dispatcher=dispatcher,
        types=[submission.name("types", type_, limits.TYPE_LENGTH) for type_ in hello.types],
        queues=[submission.name("queues", queue) for queue in hello.queues],
        labels=labels,
        slots=hello.slots,
        pod=_text("pod", hello.pod),
        node=_text("node", hello.node),
        sdk=_text("sdk", hello.sdk),
        version=_text("version", hello.version),
        pid=hello.pid,
        draining=hello.draining,
    )


def _check_counts(hello: wire.Hello) -> None:
    if not 1 <= len(hello.types) <= limits.SESSION_TYPES:
        raise Violation("types", f"1 to {limits.SESSION_TYPES} are required")
    if len(hello.queues) > limits.SESSION_TYPES:
        raise Violation("queues", f"more than {limits.SESSION_TYPES}")
    if len(hello.running) > limits.SESSION_RUNNING:
        raise Violation("running", f"more than {limits.SESSION_RUNNING}")
    if not 1 <= hello.slots <= limits.SESSION_SLOTS:
        raise Violation("slots", f"must be 1 to {limits.SESSION_SLOTS}")


def _session_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Violation("session_id", "must be a UUID") from error


def _text(field: str, value: str) -> str:
    if len(value) > limits.LABEL_VALUE_LENGTH:
        raise Violation(field, f"longer than {limits.LABEL_VALUE_LENGTH} characters")
    if not value.isprintable():
        raise Violation(field, "must be printable text")
    return value
