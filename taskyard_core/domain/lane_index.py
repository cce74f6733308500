"""Lanes by what a worker must have to serve them, so that who asks for its lanes meets few that it cannot serve."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from taskyard_core.domain import lanes, selectors
from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.selectors import Operator, Term

Token = tuple[str, str] | str | None
"""A label with its value, a label's key, or nothing: whoever serves a lane has the one that it is kept under."""

_ANY_VALUE = frozenset({Operator.EXISTS, Operator.AT_LEAST})


class _Kept(NamedTuple):
    lane: Lane
    terms: tuple[Term, ...]
    tokens: tuple[Token, ...]


class LaneIndex:
    """Each lane is read once, and kept under the requirement that fewest others are kept under.

    Asking costs what the asker serves and little more, whatever else is in here: a lane whose selector wants a label
    that the asker lacks is met only where it is kept under another requirement that the asker fulfils.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._shelves: dict[tuple[str, str], dict[Token, dict[str, dict[str, _Kept]]]] = {}
        self._weights: defaultdict[tuple[str, str, Token], int] = defaultdict(int)
        self.met = 0
        """Lanes that were compared with an asker so far."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def names(self) -> list[str]:
        """The names of all lanes in here."""
        return list(self._kept)

    def add(self, name: str) -> Lane:
        """Keep the lane of that name; raises Violation or ValueError for what is not one, or cannot be read."""
        kept = self._kept.get(name)
        if kept is None:
            lane = lanes.parse(name)
            terms = selectors.read(lane.selector)
            kept = self._kept[name] = _Kept(lane, terms, self._tokens(lane, terms))
            shelf = self._shelves.setdefault((lane.namespace, lane.type), {})
            for token in kept.tokens:
                self._weights[lane.namespace, lane.type, token] += 1
                shelf.setdefault(token, {}).setdefault(lane.queue, {})[name] = kept
        return kept.lane

    def discard(self, name: str) -> None:
        """Forget the lane of that name."""
        kept = self._kept.pop(name, None)
        if kept is None:
            return
        place = kept.lane.namespace, kept.lane.type
        shelf = self._shelves[place]
        for token in kept.tokens:
            self._weights[*place, token] -= 1
            queues = shelf[token]
            del queues[kept.lane.queue][name]
            if not queues[kept.lane.queue]:
                del queues[kept.lane.queue]
            if not queues:
                del shelf[token], self._weights[*place, token]
        if not shelf:
            del self._shelves[place]

    def serves(
        self, name: str, namespace: str, types: Collection[str], queues: Collection[str], labels: Mapping[str, str]
    ) -> bool:
        """Whether such workers may run the lane of that name, which is in here; as `served_by`."""
        lane, terms, _ = self._kept[name]
        self.met += 1
        return (
            (not types or lane.type in types)
            and lane.namespace == namespace
            and (not queues or lane.queue in queues)
            and _fits(terms, labels)
        )

    def served_by(
        self, namespace: str, types: Collection[str], queues: Collection[str], labels: Mapping[str, str]
    ) -> Iterator[Lane]:
        """The lanes that such workers may run; no types or no queues means all of them."""
        tokens: tuple[Token, ...] = (None, *labels, *labels.items())
        for shelf in self._of(namespace, types):
            for token in filter(shelf.__contains__, tokens):
                for kept in _of_queues(shelf[token], queues):
                    self.met += 1
                    if _fits(kept.terms, labels):
                        yield kept.lane

    def _of(
        self, namespace: str, types: Collection[str]
    ) -> Iterator[Mapping[Token, Mapping[str, Mapping[str, _Kept]]]]:
        if types:
            yield from (self._shelves[namespace, type_] for type_ in types if (namespace, type_) in self._shelves)
        else:
            yield from (shelf for (where, _), shelf in self._shelves.items() if where == namespace)

    def _tokens(self, lane: Lane, terms: Iterable[Term]) -> tuple[Token, ...]:
        choices = [tokens for term in terms if (tokens := _wanted(term))]
        if not choices:
            return (None,)

        def weight(tokens: tuple[Token, ...]) -> int:
            return len(tokens) + sum(self._weights.get((lane.namespace, lane.type, token), 0) for token in tokens)

        return min(choices, key=weight)


def _fits(terms: Iterable[Term], labels: Mapping[str, str]) -> bool:
    return all(term.holds(labels) for term in terms)


def _wanted(term: Term) -> tuple[Token, ...]:
    """What a worker must have one of; empty where it may also lack the label."""
    if term.operator is Operator.IN:
        return tuple((term.key, value) for value in term.values)
    return (term.key,) if term.operator in _ANY_VALUE else ()


def _of_queues(by_queue: Mapping[str, Mapping[str, _Kept]], queues: Collection[str]) -> Iterator[_Kept]:
    for queue in queues or by_queue:
        if queue in by_queue:
            yield from by_queue[queue].values()
