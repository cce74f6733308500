"""Times and durations between messages and Python."""

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from taskyard_core.domain.violations import Violation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS = 1_000_000_000


@lru_cache(maxsize=4096)
def timestamp(moment: datetime) -> Timestamp:
    """The moment as a message, which must not be changed."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def moment(field: str, message: Timestamp) -> datetime:
    """The message as a moment, to the microsecond below; raises Violation for what is not one."""
    if not 0 <= message.nanos < _NANOS:
        raise Violation(field, "nanos must be 0 to 999999999")
    try:
        return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError as error:
        raise Violation(field, "is beyond the calendar") from error


@lru_cache(maxsize=4096)
def duration(seconds: float) -> Duration:
    """The seconds as a message, which must not be changed."""
    # Both parts have the sign of the whole.
    whole = math.trunc(seconds)
    nanos = round((seconds - whole) * _NANOS)
    carried = math.trunc(nanos / _NANOS)
    return Duration(seconds=whole + carried, nanos=nanos - carried * _NANOS)


def seconds(field: str, message: Duration) -> float:
    """The message in seconds; raises Violation for what is not a duration."""
    if not -_NANOS < message.nanos < _NANOS or message.seconds * message.nanos < 0:
        raise Violation(field, "seconds and nanos must have one sign, and nanos less than a second")
    return message.seconds + message.nanos / _NANOS
