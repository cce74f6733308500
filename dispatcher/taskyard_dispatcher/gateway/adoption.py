"""Hello: a worker's first words become a session, whether it is new, back, or comes from a dispatcher that is gone."""

import uuid
from collections.abc import Iterable, Iterator, Mapping

from taskyard_core.domain import limits, selectors, submission
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import public_name, secret_hash
from taskyard_core.domain.task import AttemptKey, is_task_id
from taskyard_core.domain.text import printable
from taskyard_core.domain.transitions import Runner
from taskyard_core.domain.violations import Violation
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.sessions import SessionRecord, Sessions
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.gateway.hello_rates import HelloRates
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.resending import read_tasks
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.state import Running, Session


class Adoption:
    """Takes sessions over. From then on no other dispatcher can claim for them."""

    def __init__(
        self, dispatcher: str, sessions: Sessions, handover: Handover, rates: HelloRates, clock: Clock
    ) -> None:
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._handover = handover
        self._rates = rates
        self._clock = clock

    async def welcome(self, hello: wire.Hello, peer: str) -> tuple[Session, SessionRecord]:
        """The session of a hello, holding all it runs, with what it lacks ready to be sent.

        `peer` is where it comes from, in gRPC's words. Raises TooManyHellos, Violation naming the field,
        NamespaceMismatch, SecretMismatch, StoreUnavailable.
        """
        self._rates.arrived(peer, hello.ByteSize())
        record = session_record(hello, self._dispatcher)
        self._rates.require(record.id)
        known = {(ref.task_id, ref.attempt) for ref in hello.running}
        generation, held = await self._sessions.adopt(record, [ref for ref in known if is_task_id(ref[0])])
        self._rates.welcomed(record.id)
        session = Session(
            id=record.id,
            generation=generation,
            runner=Runner(public_name(record.id), record.worker, record.pod),
            capabilities=Capabilities(
                record.namespace, frozenset(record.types), frozenset(record.queues), dict(record.labels)
            ),
            slots=record.slots,
            draining=record.draining,
        )
        reconcile(session, read_tasks(session, held, self._clock.monotonic()), known, self._handover)
        return session, record


def reconcile(session: Session, held: Iterable[Running], known: set[AttemptKey], handover: Handover) -> None:
    """Bring session and worker in line with Postgres: hold its rows, resend what the worker lacks, stop the rest."""
    rows = {running.attempt: running for running in held}
    session.assign((running for attempt, running in rows.items() if attempt in known), ())
    handover.give(session, [running for attempt, running in rows.items() if attempt not in known], resent=True)
    session.stop(frames.stop(*attempt, wire.STOP_REASON_LOST) for attempt in known - rows.keys())
    session.stop(
        frames.stop(*attempt, wire.STOP_REASON_CANCELLED)
        for attempt, running in rows.items()
        if running.cancel_requested and session.runs(*attempt)
    )


def session_record(hello: wire.Hello, dispatcher: str) -> SessionRecord:
    """What a hello says, validated; raises Violation naming the field."""
    _check_counts(hello)
    id = _session_id(hello.session_id)
    labels: Mapping[str, str] = dict(hello.labels)
    selectors.check_labels(labels)
    return SessionRecord(
        id=id,
        namespace=submission.name("namespace", hello.namespace) if hello.namespace else "default",
        worker=_text("worker", hello.worker) or public_name(id),
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
        secret_hash=_secret_hash(hello.secret),
    )


def _check_counts(hello: wire.Hello) -> None:
    if hello.ByteSize() > limits.HELLO_BYTES:
        size, field = max(_sizes(hello))
        raise Violation(field, f"{size} bytes: a hello has at most {limits.HELLO_BYTES} in all")
    if not 1 <= len(hello.types) <= limits.SESSION_TYPES:
        raise Violation("types", f"1 to {limits.SESSION_TYPES} are required")
    if len(hello.queues) > limits.SESSION_TYPES:
        raise Violation("queues", f"more than {limits.SESSION_TYPES}")
    if len(hello.running) > limits.SESSION_RUNNING:
        raise Violation("running", f"more than {limits.SESSION_RUNNING}")
    if not 1 <= hello.slots <= limits.SESSION_SLOTS:
        raise Violation("slots", f"must be 1 to {limits.SESSION_SLOTS}")


def _sizes(hello: wire.Hello) -> Iterator[tuple[int, str]]:
    """What each field takes of it, and what no field does."""
    rest = wire.Hello()
    rest.CopyFrom(hello)
    for field, _ in hello.ListFields():
        before = rest.ByteSize()
        rest.ClearField(field.name)  # type: ignore[arg-type]
        yield before - rest.ByteSize(), field.name
    yield rest.ByteSize(), "hello"


def _session_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Violation("session_id", "must be a UUID") from error


def _secret_hash(secret: bytes) -> bytes | None:
    if not secret:
        return None
    least, most = limits.SESSION_SECRET_BYTES_MIN, limits.SESSION_SECRET_BYTES_MAX
    if not least <= len(secret) <= most:
        raise Violation("secret", f"must be {least} to {most} bytes")
    return secret_hash(secret)


def _text(field: str, value: str) -> str:
    if len(value) > limits.LABEL_VALUE_LENGTH:
        raise Violation(field, f"longer than {limits.LABEL_VALUE_LENGTH} characters")
    return printable(field, value)
