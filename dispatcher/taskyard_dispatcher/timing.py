"""How long the parts of a dispatcher wait, and how much they do at once. Times are in seconds.

What operators may have to change is a setting of the same default; the rest is for simulations to shorten.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DispatchTiming:
    """How lanes are looked at."""

    poll: float = 1.0
    """After so long lanes are read although no hint came."""
    away_poll: float = 0.2
    """Between looks into Postgres while Redis is away, and between tries to reach a store that is."""
    reclaim_interval: float = 2.0
    reclaim_idle: float = 5.0
    """After so long an entry that somebody read but never dealt with is taken over."""


@dataclass(frozen=True, kw_only=True)
class GatewayTiming:
    """What streams and their ends wait for."""

    store_pause: float = 1.0
    """Between looks whether Postgres is back, so that a session can be given up."""
    others_pause: float = 0.1
    """From one lot of results for attempts that a session does not hold to the next: nobody waits for those."""
    unread_pause: float = 0.1
    """For so long a stream without credit is not read on."""


@dataclass(frozen=True, kw_only=True)
class OutcomeTiming:
    """How outcomes and progress are stored."""

    retry_pause: float = 0.5
    """Between tries to store outcomes while Postgres is away."""
    longest_pause: float = 30.0
    """Between tries to store an outcome that did not pass alone, in the end."""
    progress_interval: float = 1.0
    """Between writes of what handlers said last."""


@dataclass(frozen=True, kw_only=True)
class BalanceTiming:
    """How often workers are sent to other dispatchers."""

    settled: float = 5.0
    """A session stays where it said hello for so long, at least."""
    rest: float = 60.0
    """Before a session that was sent on, and came back, is sent on again: twice as long after each time."""
    longest_rest: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class DutyTiming:
    """How the leader's duties go."""

    bound: float = 30.0
    """A run that takes longer counts as stalled, and the leader makes way for another."""
    longest_pause: float = 3.0
    """Most between tries while a store is away."""
    leader_alive: float = 5.0
    """A leader that wrote so lately that it leads is taken to do so."""
    page: int = 1000
    """Rows of one transaction, and ids of one step along the primary key."""
    outbox_age: float = 2.0
    """What whoever wrote a row has to publish it."""
    refill_spell: float = 8.0
    """A run that fills lanes pauses after so long, so that it cannot be taken for stalled."""
    audit_interval: float = 30.0
    """Between two comparisons of the lanes with the tables."""
    settled: float = 5.0
    """After so long a QUEUED task must be in its lane."""
    lane_unused: float = 600.0
    """A lane for which nothing waits is swept after so long, whatever is left in it of tasks that were cancelled."""
    queue_unused: float = 24 * 3600.0
    """A queue that has no settings is forgotten if nobody submits to it for so long."""
    dispatcher_gone: float = 3600.0
    """A dispatcher that says nothing for so long is forgotten."""
    retention_interval: float = 60.0
    """Between two walks along all that is kept."""
    retention_spell: float = 2.0
    """A run of such a walk pauses after so long."""
    retention_pause: float = 2.0
    """Between runs of one walk: half of the time is left to others."""
