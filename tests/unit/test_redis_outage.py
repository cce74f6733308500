"""However Redis's absence shows, it is told as StoreUnavailable: else a loop of the server would end by it."""

import pytest
from redis import exceptions

from scheduler.storage.redis.connection import available, connect
from scheduler.storage.unavailable import StoreUnavailable

CLOSED = "unable to perform operation on <TCPTransport closed=True reading=False 0x55>; the handler is closed"


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("Connection refused"),
        exceptions.ReadOnlyError("READONLY You can't write against a read only replica."),
        OSError(24, "Too many open files"),
        # uvloop's, when the server closed the connection in the moment in which it was made.
        RuntimeError(CLOSED),
    ],
    ids=["refused", "replica", "no descriptors", "closed at once"],
)
async def test_absence_is_told_in_one_way(error: Exception) -> None:
    redis = connect("redis://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        async with available(redis):
            raise error


async def test_a_mistake_of_our_own_is_not_taken_for_absence() -> None:
    with pytest.raises(RuntimeError, match="of ours"):
        async with available(connect("redis://127.0.0.1:1")):
            raise RuntimeError("a mistake of ours")
