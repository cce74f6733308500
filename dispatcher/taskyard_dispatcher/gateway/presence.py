"""Tells etcd which sessions are held here, and what their workers are."""

from taskyard_core.runtime.background import Background
from taskyard_core.storage.etcd.profile import profile
from taskyard_core.storage.etcd.records import SessionEntry
from taskyard_core.storage.sessions import SessionRecord
from taskyard_dispatcher.membership import Profiles, SessionRegistry
from taskyard_dispatcher.sessions.state import Session


class Presence:
    """One etcd lease per session, until its grace is over; and beside it what its worker is."""

    def __init__(self, registry: SessionRegistry, profiles: Profiles) -> None:
        self._registry = registry
        self._profiles = profiles
        self._background = Background()

    def arrived(self, session: Session, record: SessionRecord) -> None:
        """Register; nobody waits for it, and etcd being away ends no session."""
        # Written anew with each hello, so there is little of it.
        entry = SessionEntry(dispatcher=record.dispatcher, generation=session.generation)
        self._background.start(self._registry.register(session.id, entry))
        self._profiles.keep(session.id, profile(record))

    def moved(self, session_id: str) -> None:
        """It says hello elsewhere: whoever adopts it registers it anew."""
        self._registry.forget(session_id)
        self._profiles.forget(session_id)

    def left(self, session: Session) -> None:
        """Deregister at once, so that the leader need not wait for the lease."""
        self._background.start(self._registry.remove(session.id))
        self._profiles.forget(session.id)

    async def close(self) -> None:
        """Stop registering."""
        await self._background.cancel()
