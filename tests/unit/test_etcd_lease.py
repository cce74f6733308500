"""What a lease knows about itself, on a clock of its own."""

from taskyard_core.storage.etcd.lease import Lease


def test_trust_counts_from_the_start_of_the_renewal() -> None:
    lease = Lease(1, 6.0, granted_at=100.0)
    assert lease.confirmed_until == 106.0
    assert not lease.is_due(101.9)
    assert lease.is_due(102.0)
    lease.renewal_sent(102.0)
    assert not lease.is_due(103.0)
    # The answer may come late: what counts is when the question was asked.
    lease.renewal_answered(6.0)
    assert lease.confirmed_until == 108.0


def test_a_renewal_without_an_answer_stalls_and_can_be_dropped() -> None:
    lease = Lease(1, 5.0, granted_at=0.0)
    lease.renewal_sent(2.0)
    assert not lease.is_stalled(3.0, patience=2.0)
    assert lease.is_stalled(3.1, patience=2.0)
    assert lease.is_stalled(2.6, patience=0.5)
    lease.renewal_dropped()
    assert not lease.is_stalled(3.1, patience=2.0)
    assert lease.is_due(3.1)


def test_an_answer_that_nobody_waits_for_confirms_nothing() -> None:
    lease = Lease(1, 5.0, granted_at=0.0)
    lease.renewal_answered(5.0)
    assert lease.confirmed_until == 5.0


def test_a_lease_is_lost_once_and_stays_lost() -> None:
    lost: list[Lease] = []
    lease = Lease(1, 5.0, granted_at=0.0, on_lost=lost.append)
    lease.renewal_sent(1.0)
    lease.renewal_answered(0.0)
    lease.lose("again")
    lease.renewal_sent(2.0)
    lease.renewal_answered(5.0)
    assert lost == [lease]
    assert lease.lost.is_set()
    assert lease.confirmed_until == 5.0
