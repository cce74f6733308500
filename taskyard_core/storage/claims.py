"""What a claim, the only way from QUEUED to RUNNING, is told and answers."""

from typing import NamedTuple

CLAIM_BYTES = 4 * 1024 * 1024
"""Payloads of one claim: no more is claimed once they have come to this."""


class Bid(NamedTuple):
    """A lane entry meant for a session."""

    task_id: str
    attempt: int
    session: str


class Head(NamedTuple):
    """A waiting task found in the task store itself."""

    task_id: str
    attempt: int
    lane: str


class Claimed(NamedTuple):
    """A task that is RUNNING now, with its new attempt. `waited` is seconds since it could run.

    `payload` is None where the row's is longer than a payload may be. Other values, too, can be what no API would take.
    """

    task_id: str
    attempt: int
    session: str
    lane: str
    payload: bytes | None
    timeout: float | None
    failures: int
    crashes: int
    retry: str | None
    traceparent: str | None
    waited: float
