"""8 Capacity: no session holds more attempts than it has slots, and only its own dispatcher gives it any."""

from collections import Counter
from collections.abc import Iterator

from chaos.checks.timeline import timeline
from chaos.checks.violation import Violation
from chaos.history.events import SessionChange, Transition
from chaos.history.record import History

NAME = "capacity"

_UNDER_WAY = 15.0
"""Longest that a claim can be under way, in seconds: a worker that says meanwhile that it drains hands it back."""


def check(history: History) -> Iterator[Violation]:
    """After each claim the session's open attempts are at most its slots; it is live, and doesn't drain.

    Who claims is who took the session's latest hello: dispatchers call their database connections by their own name.
    """
    sessions: dict[str, SessionChange] = {}
    held: dict[str, str] = {}
    open_attempts: Counter[str] = Counter()
    for change in timeline(history.transitions, history.sessions):
        if isinstance(change, SessionChange):
            sessions[change.session] = change
            continue
        if change.old == "RUNNING" and change.new != "RUNNING" and change.task in held:
            open_attempts[held.pop(change.task)] -= 1
        elif change.new == "RUNNING" and change.old != "RUNNING" and change.session:
            session = sessions.get(change.session)
            held[change.task] = change.session
            open_attempts[change.session] += 1
            if wrong := _wrong(session, open_attempts[change.session], change):
                yield Violation(NAME, f"session {change.session} claimed {change.task}, but {wrong}", change.task)


def _wrong(session: SessionChange | None, count: int, claim: Transition) -> str | None:
    if session is None:
        return "it never said hello"
    if not session.live:
        return f"it was given up ({session.reason})"
    if claim.application and claim.application != session.dispatcher:
        return f"{claim.application} claimed for it, and {session.dispatcher} has it"
    if session.draining and claim.at - session.at > _UNDER_WAY:
        return "it takes no more tasks"
    return f"has {count} for {session.slots} slots" if count > session.slots else None
