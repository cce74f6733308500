"""8 Placement: a task runs in its namespace, where its queue and type are served and its selector holds."""

from collections.abc import Iterator

from chaos.checks.selector import holds
from chaos.checks.timeline import timeline
from chaos.checks.violation import Violation
from chaos.history.events import Placement, SessionChange
from chaos.history.record import History

NAME = "placement"


def check(history: History) -> Iterator[Violation]:
    """Every claim is for a session that fits the task."""
    sessions: dict[str, SessionChange] = {}
    placements: dict[str, Placement] = {}
    verdicts: dict[tuple[str, int, Placement], str | None] = {}
    for change in timeline(history.transitions, history.sessions):
        if isinstance(change, SessionChange):
            sessions[change.session] = change
        elif change.placement is not None:
            placements[change.task] = change.placement
        elif change.new == "RUNNING" and change.old != "RUNNING":
            session, placement = sessions.get(change.session or ""), placements.get(change.task)
            if session is None or placement is None:
                continue
            case = (session.session, session.generation, placement)
            if case not in verdicts:
                verdicts[case] = misfit(session, placement)
            if wrong := verdicts[case]:
                yield Violation(NAME, f"task {change.task} was given to session {change.session}: {wrong}", change.task)


def misfit(session: SessionChange, placement: Placement) -> str | None:
    """Why the session must not run such a task; None if it may."""
    if session.namespace != placement.namespace:
        return f"namespace {session.namespace} is not {placement.namespace}"
    if placement.type not in session.types:
        return f"type {placement.type} is not among {', '.join(session.types)}"
    if session.queues and placement.queue not in session.queues:
        return f"queue {placement.queue} is not among {', '.join(session.queues)}"
    if not holds(placement.selector, session.labels):
        return f"{placement.selector} does not hold for {dict(session.labels)}"
    return None
