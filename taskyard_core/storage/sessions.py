"""Worker sessions as the task store knows them: the generation of each decides who may claim for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.task import AttemptKey
from taskyard_core.storage.claims import Claimed
from taskyard_core.storage.dispatchers import DispatcherNote, Peer
from taskyard_core.storage.workers import Worker, WorkerPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What a worker says of itself, and the dispatcher that it says it to."""

    id: str
    namespace: str
    worker: str
    dispatcher: str
    types: Sequence[str]
    queues: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    slots: int
    pod: str = ""
    node: str = ""
    sdk: str = ""
    version: str = ""
    pid: int = 0
    draining: bool = False
    secret_hash: bytes | None = field(default=None, repr=False)
    """None: the worker did not show a secret."""


class Host(NamedTuple):
    """The worker behind a session, and the pod it runs in, "" if it did not tell."""

    worker: str
    pod: str


class LiveSession(NamedTuple):
    """A session that nobody has given up yet; `age` is seconds since its last hello.

    `vouched` is how many seconds ago its dispatcher last answered for it; None where that is not known to the store.
    """

    id: str
    generation: int
    dispatcher: str
    age: float
    vouched: float | None = None


class Held(NamedTuple):
    """A RUNNING task of a session; a cancel may have been asked for.

    Where it is `unread`, its payload was left out, since those of tasks before it came to CLAIM_BYTES.
    """

    task: Claimed
    cancel_requested: bool
    unread: bool = False


class RunningRef(NamedTuple):
    """An attempt that a session runs."""

    session: str
    task_id: str
    attempt: int
    cancel_requested: bool


class NamespaceMismatch(Exception):
    """The session id belongs to a worker of another namespace."""


class SecretMismatch(Exception):
    """The session is of a worker that has a secret, and this is not it."""


class Sessions(Protocol):
    """All worker sessions, and the dispatchers that answer for them. Every method raises StoreUnavailable."""

    async def adopt(self, record: SessionRecord, known: Collection[AttemptKey] = ()) -> tuple[int, list[Held]]:
        """Store the session, alive; its new generation and what it runs. Raises NamespaceMismatch, SecretMismatch.

        One transaction: else a session whose tasks cannot be read would be raised by each hello, and nobody would ever
        give it up.
        """

    async def renew(self, session: str, generation: int) -> int | None:
        """Begin the session's next generation; once it returns, no claim under the former can take effect any more.

        None if that generation was over.
        """

    async def drain(self, session: str, generation: int) -> None:
        """Note that the worker wants no more tasks."""

    async def held(self, session: str, known: Collection[AttemptKey] = ()) -> list[Held]:
        """The tasks it runs, by id; payloads of those alone that are not known, until they carry CLAIM_BYTES."""

    async def generations(self, sessions: Sequence[str]) -> dict[str, int]:
        """The current generation of each of the sessions; 0 for one that was given up."""

    async def running(self, sessions: Sequence[str], age: float) -> list[RunningRef]:
        """What these sessions run, as far as it started at least `age` seconds ago."""

    async def live(self, dispatcher: str | None = None) -> list[LiveSession]:
        """All sessions that nobody has given up, or those of a dispatcher, by id."""

    async def workers(
        self, namespace: str | None, after: WorkerPlace | None, limit: int
    ) -> tuple[list[Worker], WorkerPlace | None]:
        """Workers by name, or those of a namespace: up to `limit` after a place, and the last one's or None on the last
        page. Fewer where they come to more than `tasks.PAGE_BYTES` as JSON, but at least one.
        """

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many."""

    async def vouch(self, note: DispatcherNote) -> list[Peer]:
        """Write it down, with the store's time, and so answer for each live session of that dispatcher; the others."""

    async def leave(self, dispatcher: str) -> None:
        """Answer for nobody any more."""
