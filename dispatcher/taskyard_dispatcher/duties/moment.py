"""Points in time as ids: tasks are UUIDv7, which begin with the millisecond in which they were made."""

import uuid


def first_id(seconds: float) -> str:
    """The lowest id of a moment, in seconds since the epoch."""
    milliseconds = max(0, int(seconds * 1000))
    return str(uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62)))
