"""Which dispatcher runs the leader's duties, and for how long it may believe that."""

from dispatcher.leadership.candidate import Candidate, LeaderRecord
from dispatcher.leadership.election import ElectionTiming, Elector
from dispatcher.leadership.term import Term

__all__ = ["Candidate", "ElectionTiming", "Elector", "LeaderRecord", "Term"]
