"""Which sessions this dispatcher holds, and which of them may be given tasks."""

from collections.abc import Iterable, Iterator

from taskyard_dispatcher.sessions.state import Running, Session


class Roster:
    """All sessions of this dispatcher by id; `version` rises when who may be given tasks changes.

    A session that leaves the roster is superseded, if it was not over already: only one that is in it accepts tasks.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.version = 0

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, id: str) -> Session | None:
        """The session of that id, if it is here."""
        return self._sessions.get(id)

    def put(self, session: Session) -> None:
        """Add it in place of a former one: its worker has said hello again."""
        if former := self._sessions.get(session.id):
            # Two hellos may be answered in the other order than they were sent. Should the worker be on the former
            # stream, it is told to leave: else it would wait there for ever, for tasks that nobody sends.
            former.supersede()
        self._sessions[session.id] = session
        session.notify_roster(self._changed)
        if session.accepting:
            self._changed()

    def remove(self, session: Session) -> None:
        """Forget it, unless a newer one has taken its place."""
        if self._sessions.get(session.id) is session:
            session.supersede()
            del self._sessions[session.id]

    def adopted_elsewhere(self, id: str) -> None:
        """Another dispatcher has the session now. As with `put`, the worker may nevertheless be here."""
        if session := self._sessions.get(id):
            self.remove(session)

    def accepting(self) -> list[Session]:
        """Sessions that take tasks when they have free slots."""
        return [session for session in self._sessions.values() if session.accepting]

    def holders(self, task_ids: Iterable[str]) -> Iterator[tuple[Session, Running]]:
        """Which session runs each of the tasks; those that none runs are left out."""
        for task_id in task_ids:
            for session in self._sessions.values():
                if held := session.running.get(task_id):
                    yield session, held

    def _changed(self) -> None:
        self.version += 1
