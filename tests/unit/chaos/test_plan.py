"""Plans are drawn from a seed, cover every fault, and keep what the guarantee rests on."""

import random
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos.backends.cluster import Capability
from chaos.experiments import PRESETS, Step, plan
from chaos.experiments.plan import drawn_duration
from chaos.faults import Fault, all_faults, possible_faults

EVERYTHING = possible_faults(Capability)
SEEDS = st.integers(0, 2**31)


def full(seed: int) -> list[Step]:
    return plan(seed, PRESETS["full"], EVERYTHING)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_plan(seed: int) -> None:
    assert full(seed) == full(seed)
    assert full(seed) != full(seed + 1)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_full_plan_has_500_faults_and_each_kind_five_times(seed: int) -> None:
    steps = full(seed)
    times = Counter(step.fault for step in steps)
    assert len(steps) >= 500
    assert times.keys() == all_faults().keys()
    assert min(times.values()) >= 5


@given(seed=SEEDS, preset=st.sampled_from(sorted(PRESETS)))
@example(seed=1, preset="smoke")
@settings(max_examples=20, deadline=None)
def test_steps_are_in_order_and_over_before_the_load_is(seed: int, preset: str) -> None:
    chosen = PRESETS[preset]
    steps = plan(seed, chosen, EVERYTHING)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert max(step.ends for step in steps) <= chosen.seconds - chosen.rest + 0.01
    assert all(step.target in all_faults()[step.fault].targets for step in steps)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_faults_that_strain_the_same_never_overlap(seed: int) -> None:
    until: dict[str, float] = {}
    for step in full(seed):
        for thing in all_faults()[step.fault].strained(step.target):
            assert until.get(thing, 0.0) < step.at, (thing, step)
            until[thing] = step.ends


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_no_more_faults_overlap_than_the_preset_allows(seed: int) -> None:
    steps = full(seed)
    for step in steps:
        others = [other for other in steps if other.at < step.at < other.ends]
        assert len(others) < PRESETS["full"].at_once


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_fault_that_is_to_be_measured_has_its_recovery_to_itself(seed: int) -> None:
    steps = full(seed)
    alone = [step for step in steps if step.alone]
    assert len(alone) >= 50
    for step in alone:
        quiet = step.ends + all_faults()[step.fault].recovery
        assert not [other for other in steps if other != step and other.at < quiet and other.ends > step.at]


def test_faults_that_the_cluster_cannot_suffer_are_not_planned() -> None:
    steps = plan(1, PRESETS["full"], possible_faults({Capability.SIGNAL}))
    assert {step.fault for step in steps} == {fault.name for fault in EVERYTHING if fault.needs <= {Capability.SIGNAL}}
    assert "freeze-worker" not in {step.fault for step in steps}


@given(seed=SEEDS, least=st.floats(0, 5), extent=st.floats(0, 60), longest=st.floats(0.1, 60))
def test_durations_keep_their_bounds(seed: int, least: float, extent: float, longest: float) -> None:
    seconds = drawn_duration(random.Random(seed), (least, least + extent), longest)
    assert least <= seconds <= max(least, min(least + extent, longest)) + 0.1 + 1e-9


@pytest.mark.parametrize("fault", all_faults().values(), ids=lambda fault: fault.name)
def test_every_fault_says_what_it_is(fault: Fault) -> None:
    assert fault.what
    assert fault.targets
    assert fault.recovery > 0
