"""From a seed to a plan: which fault begins when, and how long it lasts. Pure; the same seed gives the same plan.

A plan alternates storms, in which faults overlap, with calm stretches, in which one fault comes alone and has its whole
stated recovery to itself, so that this can be measured.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaos.experiments.deck import Card, Deck
from chaos.experiments.preset import Preset
from chaos.faults.fault import Fault

WARM_UP = 5.0
"""Seconds before the first fault: the load has to flow."""
JUDGED = ("kill-worker", "kill-dispatcher", "kill-leader", "terminate-leader", "flush-redis", "kill-postgres")
"""Faults whose recovery is promised to the second: they come alone more often than the others."""
JUDGED_WEIGHT = 4
MARGIN = 3.0
"""Seconds of silence that a measured recovery gets on top of its bound."""


class Step(NamedTuple):
    """One fault at its time. `draw` decides what the target leaves open; `alone`: no other is near."""

    at: float
    fault: str
    target: str
    duration: float
    draw: float
    alone: bool

    @property
    def ends(self) -> float:
        """When it is to be healed."""
        return self.at + self.duration


def plan(seed: int, preset: Preset, faults: Iterable[Fault]) -> list[Step]:
    """All steps of an experiment, in order of time; every fault ends `preset.rest` before the experiment does."""
    planner = _Planner(random.Random(seed), preset, list(faults))
    return planner.steps()


@dataclass
class _Planner:
    random: random.Random
    preset: Preset
    faults: list[Fault]

    def steps(self) -> list[Step]:
        storms = Deck(self.random, self.faults)
        measured = Deck(self.random, self._measured())
        end = self.preset.seconds - self.preset.rest
        steps: list[Step] = []
        now = min(WARM_UP, end / 10)
        while now < end:
            storm = self._storm(storms, now, min(end, now + self.preset.storm))
            steps += storm
            now = self._quiet_after(storm, now)
            for _ in range(self.preset.calms):
                step = self._alone(measured, now, end)
                if step is None:
                    break
                steps.append(step.step)
                now = step.quiet
        return steps

    def _measured(self) -> list[Fault]:
        short = [fault for fault in self.faults if fault.recovery <= self.preset.calm_recovery]
        return [fault for fault in short for _ in range(JUDGED_WEIGHT if fault.name in JUDGED else 1)]

    def _storm(self, deck: Deck, begin: float, end: float) -> list[Step]:
        """Faults at random times, as many at once as the preset allows."""
        steps: list[Step] = []
        strained: list[tuple[float, frozenset[str]]] = []
        now = begin
        while now < end:
            running = [(until, strains) for until, strains in strained if until > now]
            busy = frozenset[str]().union(*(strains for _, strains in running))
            if len(running) < self.preset.at_once:
                left = end - now
                card = deck.draw(lambda card: not (card.strains & busy) and card.fault.seconds[0] <= left)  # noqa: B023
                if card is not None:
                    step = self._step(card, now, min(left, self.preset.longest), alone=False)
                    steps.append(step)
                    strained = [*running, (step.ends + SETTLE, card.strains)]
            now += self.random.expovariate(1 / self.preset.gap)
        return steps

    def _alone(self, deck: Deck, now: float, end: float) -> "_Measured | None":
        card = deck.draw(lambda card: now + card.fault.seconds[0] + card.fault.recovery + MARGIN <= end)
        if card is None:
            return None
        longest = min(self.preset.calm_longest, end - now - card.fault.recovery - MARGIN)
        step = self._step(card, now, longest, alone=True)
        return _Measured(step, step.ends + card.fault.recovery + MARGIN)

    def _step(self, card: Card, at: float, longest: float, *, alone: bool) -> Step:
        duration = drawn_duration(self.random, card.fault.seconds, longest)
        return Step(round(at, 3), card.fault.name, card.target, round(duration, 3), self.random.random(), alone)

    def _quiet_after(self, steps: Sequence[Step], now: float) -> float:
        return max((step.ends for step in steps), default=now) + self.preset.settle


SETTLE = 1.0
"""Seconds between two faults that strain the same thing: taking one back is not done in a moment."""


class _Measured(NamedTuple):
    step: Step
    quiet: float


def drawn_duration(draw: random.Random, seconds: tuple[float, float], longest: float) -> float:
    """A duration within bounds, short ones more likely: its logarithm is evenly spread."""
    least, most = seconds[0], max(seconds[0], min(seconds[1], longest))
    if most <= least:
        return least
    # The logarithm of nothing is endless; and less than a tenth of a second may be left.
    low = min(max(least, 0.1), most)
    return max(least, math.exp(draw.uniform(math.log(low), math.log(most))))
