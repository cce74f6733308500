"""Which dispatcher runs the leader's duties, and for how long it may believe that."""

from taskyard_dispatcher.leadership.election import ElectionTiming, Elector
from taskyard_dispatcher.leadership.term import Term

__all__ = ["ElectionTiming", "Elector", "Term"]
