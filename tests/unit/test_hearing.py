"""Whether a worker hears, judged by its heartbeats alone."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from taskyard_dispatcher.gateway.hearing import Hearing

INTERVAL, LIMIT = 3.0, 10.0


@given(
    st.lists(st.floats(0, 200), min_size=1, max_size=40),
    st.floats(0, LIMIT - INTERVAL - 0.1),
    st.booleans(),
)
def test_who_hears_every_echo_is_never_taken_for_deaf(pauses: list[float], delay: float, skips: bool) -> None:
    """However long its stream is not read: it goes on sending all the while, or is held up and sends none meanwhile."""
    now, hearing = 0.0, Hearing(INTERVAL, 0.0)
    written: deque[tuple[int, int]] = deque()
    echoes: list[tuple[float, int]] = []
    sequence, sent_at = 0, 0.0
    for pause in pauses:
        now += pause
        while sent_at + INTERVAL <= now:
            sent_at += INTERVAL
            if skips and sent_at + INTERVAL <= now:
                continue
            sequence += 1
            written.append((sequence, max((echo for at, echo in echoes if at + delay <= sent_at), default=0)))
        while written:
            number, heard = written.popleft()
            assert hearing.heard(number, heard, now) < LIMIT
            echoes.append((now, number))


@given(st.integers(0, 5), st.floats(0, 1))
def test_who_hears_no_more_is_noticed_after_a_while(before: int, delay: float) -> None:
    hearing, noticed = Hearing(INTERVAL, 0.0), 0
    for sequence in range(1, before + 10):
        heard = min(sequence - 1, before)
        if hearing.heard(sequence, heard, sequence * INTERVAL + delay) >= LIMIT:
            noticed = sequence
            break
    # The echo of the next one after the last heard is the first that is missed.
    assert (noticed - before - 1) * INTERVAL < LIMIT + INTERVAL
    assert noticed


def test_heartbeats_that_come_in_another_order_or_twice_tell_nothing() -> None:
    hearing = Hearing(INTERVAL, 0.0)
    hearing.heard(5, 4, 3.0)
    assert hearing.heard(5, 4, 60.0) == hearing.heard(4, 0, 60.0) == 0.0
