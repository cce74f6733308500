"""The log's time stamps."""

from datetime import UTC, datetime


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}Z"
