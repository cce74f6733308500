"""Two lists of what the database did, in one order."""

import heapq
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TypeVar

from chaos.history.events import SessionChange, TermRaised, Transition

Other = TypeVar("Other", SessionChange, TermRaised)


def timeline(transitions: Sequence[Transition], others: Sequence[Other]) -> Iterator[Transition | Other]:
    """Both in order of `seq`; each is so already."""
    return heapq.merge(transitions, others, key=attrgetter("seq"))
