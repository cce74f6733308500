"""Faults in random order, such that each comes equally often for its weight."""

import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from chaos.faults.fault import Fault


class Card(NamedTuple):
    """A fault and the target that is its turn."""

    fault: Fault
    target: str

    @property
    def strains(self) -> frozenset[str]:
        """What must not be under another fault meanwhile."""
        return self.fault.strained(self.target)


class Deck:
    """Deals rounds: in each, every fault comes as often as its weight; its targets take turns over the rounds."""

    def __init__(self, draw: random.Random, faults: Iterable[Fault]) -> None:
        self._random = draw
        self._faults = list(faults)
        self._targets: dict[str, list[str]] = {fault.name: [] for fault in self._faults}
        self._cards: list[Card] = []

    def draw(self, fits: Callable[[Card], bool]) -> Card | None:
        """The next card that fits now; those that do not keep their place."""
        if len(self._cards) < len(self._faults):
            self._cards += self._round()
        for index, card in enumerate(self._cards):
            if fits(card):
                return self._cards.pop(index)
        return None

    def _round(self) -> list[Card]:
        cards = [Card(fault, self._target(fault)) for fault in self._faults for _ in range(fault.weight)]
        self._random.shuffle(cards)
        return cards

    def _target(self, fault: Fault) -> str:
        waiting = self._targets[fault.name]
        if not waiting:
            waiting += self._random.sample(fault.targets, len(fault.targets))
        return waiting.pop()
