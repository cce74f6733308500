"""However Redis says that it is of no use, it is told as StoreUnavailable: else a loop of the server would fail."""

import pytest
from redis import exceptions

from taskyard_core.storage.redis.connection import available, check_version, connect
from taskyard_core.storage.unavailable import StoreUnavailable

CLOSED = "unable to perform operation on <TCPTransport closed=True reading=False 0x55>; the handler is closed"
WRONG_KIND = "WRONGTYPE Operation against a key holding the wrong kind of value"
OLD_SCRIPT = f"Error running script (call to f_22): @user_script:8: {WRONG_KIND} "


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (exceptions.ConnectionError("Connection refused"), False),
        (exceptions.ConnectionError("max number of clients reached", status_code="ERR"), False),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory", status_code="LOADING"), False),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.", status_code="OOM"), False),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), False),
        (exceptions.ResponseError("UNKILLABLE Sorry the script already executed write commands"), False),
        (OSError(24, "Too many open files"), False),
        # uvloop's, when the server closed the connection in the moment in which it was made.
        (RuntimeError(CLOSED), False),
        (exceptions.InvalidResponse("Protocol Error: b'H'"), False),
        (exceptions.ReadOnlyError("You can't write against a read only replica.", status_code="READONLY"), True),
        (exceptions.NoPermissionError("User x has no permissions to run 'xadd'", status_code="NOPERM"), True),
        (exceptions.AuthenticationError("Authentication required.", status_code="NOAUTH"), True),
        (exceptions.AuthenticationError("invalid username-password pair", status_code="WRONGPASS"), True),
        (exceptions.AuthenticationWrongNumberOfArgsError("wrong number of arguments for 'auth'"), True),
        (exceptions.MovedError("3999 127.0.0.1:6381", status_code="MOVED"), True),
        (exceptions.ClusterCrossSlotError("Keys in request don't hash to one slot", status_code="CROSSSLOT"), True),
        (exceptions.NoScriptError("No matching script.", status_code="NOSCRIPT"), True),
        (exceptions.ExecAbortError("Transaction discarded", status_code="EXECABORT"), True),
        (exceptions.ResponseError("BUSYGROUP Consumer Group name already exists"), True),
        (exceptions.ResponseError("UNBLOCKED the stream key no longer exists"), True),
        (exceptions.ResponseError("unknown command 'XAUTOCLAIM', with args beginning with:"), True),
        (exceptions.ResponseError(WRONG_KIND), True),
        (exceptions.ResponseError(OLD_SCRIPT), True),
        (exceptions.ResponseError("SOMETHING nobody has thought of"), True),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_whatever_it_says_is_waited_out(error: Exception, refused: bool) -> None:
    redis = connect("redis://127.0.0.1:1")
    with pytest.raises(StoreUnavailable) as raised:
        async with available(redis):
            raise error
    assert raised.value.refused is refused
    code = getattr(error, "status_code", None) or "ERR"
    assert code == "ERR" or code in str(raised.value)


@pytest.mark.parametrize("error", [RuntimeError("a mistake of ours"), exceptions.DataError("a mistake of ours")])
async def test_a_mistake_of_our_own_is_not_taken_for_absence(error: Exception) -> None:
    with pytest.raises(type(error), match="of ours"):
        async with available(connect("redis://127.0.0.1:1")):
            raise error


@pytest.mark.parametrize("version", ["5.0.7", "6.0.16"])
def test_a_server_that_is_too_old_is_a_refusal_that_says_so(version: str) -> None:
    with pytest.raises(StoreUnavailable, match=rf"redis refuses: version {version} is too old") as raised:
        check_version({"redis_version": version})
    assert raised.value.refused
    for enough in ("6.2.14", "7.0.15", "10.0.0", "unknown"):
        check_version({"redis_version": enough})
