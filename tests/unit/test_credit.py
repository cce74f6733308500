"""How much of no use a worker may send."""

from taskyard_dispatcher.gateway.credit import Credit, Manners


def test_all_of_the_credit_may_be_spent_at_once() -> None:
    credit = Credit(100, 10.0, 0.0)
    assert credit.take(100, 0.0) is Manners.GOOD
    assert credit.take(1, 0.0) is Manners.SHORT


def test_who_owes_as_much_again_is_read_no_more() -> None:
    credit = Credit(100, 10.0, 0.0)
    assert credit.take(200, 0.0) is Manners.SHORT
    assert credit.take(1, 0.0) is Manners.NONE


def test_credit_flows_back_with_time_and_never_beyond_the_most() -> None:
    credit = Credit(100, 10.0, 0.0)
    credit.take(150, 0.0)
    assert credit.take(10, 5.9) is Manners.SHORT
    assert credit.take(10, 8.0) is Manners.GOOD
    assert credit.take(100, 1e6) is Manners.GOOD
    assert credit.take(1, 1e6) is Manners.SHORT
