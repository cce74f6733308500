"""Recoveries are measured one fault at a time."""

from collections import Counter
from itertools import pairwise

from chaos.faults import all_faults
from chaos.measures.recoveries import QUIET
from chaos.recoveries import REPEATED, repetitions


def test_each_fault_comes_as_often_as_it_should() -> None:
    faults = all_faults()
    counted = Counter(step.fault for step in repetitions(3, 2, 1, faults))
    assert counted == {name: 3 if name in REPEATED else 2 for name in faults}


def test_none_begins_before_the_one_before_may_have_recovered() -> None:
    faults = all_faults()
    for earlier, later in pairwise(repetitions(2, 1, 1, faults)):
        assert later.at > earlier.ends + max(QUIET, faults[earlier.fault].recovery)


def test_each_lasts_as_long_as_it_may() -> None:
    faults = all_faults()
    for step in repetitions(1, 1, 1, faults):
        shortest, longest = faults[step.fault].seconds
        assert shortest <= step.duration <= longest
