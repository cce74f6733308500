"""Which dispatcher runs the leader's duties, and for how long it may believe that."""

from taskyard_dispatcher.leadership.candidate import Candidate, LeaderRecord
from taskyard_dispatcher.leadership.election import ElectionTiming, Elector
from taskyard_dispatcher.leadership.term import Term

__all__ = ["Candidate", "ElectionTiming", "Elector", "LeaderRecord", "Term"]
