"""What callers tell about tasks: one tuple per task, given in batches.

They are tuples because building one costs a quarter of a microsecond, a frozen dataclass four times that, and
there is one per task on the hot path.
"""

from typing import NamedTuple

from taskyard_core.domain.transitions import Runner


class Claim(NamedTuple):
    """A task that went from QUEUED to RUNNING.

    `attempt` is the new attempt, `lane` the lane's name, `waited` the seconds since the task could have run.
    """

    id: str
    attempt: int
    lane: str
    runner: Runner
    waited: float
    traceparent: str | None = None
