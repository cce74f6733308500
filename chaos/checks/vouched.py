"""17 Vouched: the leader gives nobody up whose dispatcher answers for it."""

from collections.abc import Iterator

from chaos.checks.violation import Violation
from chaos.history.record import History

NAME = "vouched"

_REAPED = "registration lost"
_UNDER_WAY = 15.0
"""Longest that it can be between the leader's look and its commit, in seconds: a dispatcher that came back within them
came too late."""
_FRESH = 5.0
"""Seconds for which a dispatcher's last word surely counts."""


def check(history: History) -> Iterator[Violation]:
    """A session that ended because nobody answered for it had a dispatcher that had fallen silent, or was gone."""
    for change in history.sessions:
        if change.live or change.reason != _REAPED or change.answering is None or change.silent is None:
            continue
        if change.answering > _UNDER_WAY and change.silent < _FRESH:
            answered = f"answered for it {change.silent:.1f} s ago, and had for {change.answering:.0f} s"
            yield Violation(NAME, f"session {change.session} was given up, but {change.dispatcher} {answered}")
