"""Tells etcd which sessions are alive here."""

import logging

from dispatcher.membership import SessionRegistry
from dispatcher.sessions import Session
from scheduler.background import Background
from scheduler.storage.sessions import SessionRecord

_log = logging.getLogger(__name__)


class Presence:
    """One etcd lease per session, as long as its stream lives."""

    def __init__(self, registry: SessionRegistry) -> None:
        self._registry = registry
        self._background = Background()

    def arrived(self, session: Session, record: SessionRecord) -> None:
        """Register; nobody waits for it, and etcd being away ends no session."""
        self._background.start(self._registry.register(session.id, _value(record), generation=session.generation))

    def moved(self, session: Session) -> None:
        """It says hello elsewhere: whoever adopts it registers it anew."""
        self._registry.forget(session.id)

    def left(self, session: Session) -> None:
        """Deregister at once, so that the leader need not wait for the lease."""
        self._background.start(self._registry.remove(session.id))

    async def close(self) -> None:
        """Stop registering."""
        await self._background.cancel()


def _value(record: SessionRecord) -> dict[str, object]:
    return {
        "worker": record.worker,
        "namespace": record.namespace,
        "dispatcher": record.dispatcher,
        "labels": dict(record.labels),
        "types": list(record.types),
        "queues": list(record.queues),
        "slots": record.slots,
        "pod": record.pod,
        "sdk": record.sdk,
        "version": record.version,
    }
