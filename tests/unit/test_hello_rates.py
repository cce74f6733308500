"""How often hellos may come."""

import pytest

from taskyard_core.domain import limits
from taskyard_core.runtime.clock import SystemClock
from taskyard_dispatcher.gateway.hello_rates import Buckets, HelloRates, TooManyHellos

KIB = 1024


class HandClock(SystemClock):
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def count(rates: HelloRates, peer: str, size: int) -> int:
    """How many hellos of that size are let in at once."""
    taken = 0
    while True:
        try:
            rates.arrived(peer, size)
        except TooManyHellos:
            return taken
        taken += 1


def test_large_hellos_of_one_peer_are_few_and_small_ones_many() -> None:
    assert count(HelloRates(HandClock()), "ipv4:10.0.0.1:4000", 261 * KIB) == 16
    assert count(HelloRates(HandClock()), "ipv4:10.0.0.1:4000", 10) == limits.HELLO_KIB_PER_PEER


def test_a_peer_is_its_address_and_does_not_get_in_others_way() -> None:
    rates = HelloRates(HandClock())
    count(rates, "ipv6:%5B::1%5D:4000", 261 * KIB)
    with pytest.raises(TooManyHellos):
        rates.arrived("ipv6:%5B::1%5D:4001", 1)
    rates.arrived("ipv6:%5B::2%5D:4000", 1)


def test_who_was_refused_is_let_in_after_the_time_it_was_told() -> None:
    clock = HandClock()
    rates = HelloRates(clock)
    count(rates, "ipv4:10.0.0.1:4000", 261 * KIB)
    with pytest.raises(TooManyHellos) as refusal:
        rates.arrived("ipv4:10.0.0.1:4000", 1)
    clock.now += refusal.value.retry_after * 0.9
    with pytest.raises(TooManyHellos):
        rates.arrived("ipv4:10.0.0.1:4000", 1)
    clock.now += refusal.value.retry_after * 0.11
    rates.arrived("ipv4:10.0.0.1:4000", 1)


def test_a_sustained_stream_of_large_hellos_is_held_to_the_rate() -> None:
    clock = HandClock()
    rates = HelloRates(clock)
    taken = 0
    for _ in range(16 * 300):
        clock.now += 1 / 16
        try:
            rates.arrived("ipv4:10.0.0.1:4000", 261 * KIB)
            taken += 1
        except TooManyHellos:
            continue
    assert taken * 261 <= limits.HELLO_KIB_PER_PEER + 300 * limits.HELLO_KIB_PER_PEER_AND_SECOND + 261


def test_only_welcomes_count_for_a_session() -> None:
    clock = HandClock()
    rates = HelloRates(clock)
    for _ in range(1000):
        rates.require("s")
    for _ in range(limits.HELLOS_PER_SESSION):
        rates.require("s")
        rates.welcomed("s")
    with pytest.raises(TooManyHellos):
        rates.require("s")
    rates.require("t")
    clock.now += 1 / limits.HELLOS_PER_SESSION_AND_SECOND
    rates.require("s")


def test_the_name_that_was_not_used_for_longest_is_forgotten() -> None:
    buckets = Buckets(burst=1, rate=0.001, most=2)
    for name in ("a", "b", "a", "c"):
        buckets.take(name, 1, 0.0)
    assert [buckets.wait(name, 0.0) > 0 for name in ("a", "b", "c")] == [True, False, True]
