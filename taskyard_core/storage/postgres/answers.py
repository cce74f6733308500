"""What Postgres' answers mean for whoever asked. Whatever is not listed is waited out: the same may be asked later.

An answer is sorted by its SQLSTATE: by all five characters, or else by the first two, its class.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Mapping
from enum import Enum

import asyncpg

from taskyard_core.storage.unavailable import NothingDone, StoreUnavailable, TooLong


class Meaning(Enum):
    """Whose fault it is, and what helps."""

    AWAY = "the server is away, busy or not answering: wait"
    REFUSED = "the server says no to everybody: wait until somebody has mended it"
    NOT_MIGRATED = "tables are not there, or older or newer than this server: wait for the migration"
    OURS = "a statement of ours is wrong: wait, and say so with a trace"
    TOO_LONG = "a limit on the statement's time was hit: less at once may pass"
    NOTHING_DONE = "decided against this transaction: again, at once"
    VALUE = "one value of it cannot be taken: asked again it would fail again, others are not concerned"


MEANINGS: Mapping[str, Meaning] = {
    "08": Meaning.AWAY,
    # "unsupported startup parameter": PgBouncer's.
    "08P01": Meaning.REFUSED,
    "53": Meaning.AWAY,
    "57": Meaning.AWAY,
    "58": Meaning.AWAY,
    "XX": Meaning.AWAY,
    "40": Meaning.NOTHING_DONE,
    # It did not learn how its own commit ended.
    "40003": Meaning.AWAY,
    "55P03": Meaning.TOO_LONG,
    "57014": Meaning.TOO_LONG,
    "25P03": Meaning.AWAY,
    "3D000": Meaning.NOT_MIGRATED,
    "3F000": Meaning.NOT_MIGRATED,
    "42P01": Meaning.NOT_MIGRATED,
    "42703": Meaning.NOT_MIGRATED,
    "42883": Meaning.NOT_MIGRATED,
    "42704": Meaning.REFUSED,
    "42": Meaning.OURS,
    "21": Meaning.OURS,
    "42501": Meaning.REFUSED,
    "42939": Meaning.REFUSED,
    # Somebody between us and the server hands its sessions around.
    "42P05": Meaning.REFUSED,
    "26000": Meaning.REFUSED,
    "22": Meaning.VALUE,
    # A limit of the server that one value hits: it is too deep, or too long for an index.
    "54": Meaning.VALUE,
    "23": Meaning.VALUE,
}
_POOLER = "a pooler such as PgBouncer stands in between: see docs/configuration.md, PgBouncer"


def meaning(sqlstate: str) -> Meaning:
    """What an answer with this code means."""
    return MEANINGS.get(sqlstate) or MEANINGS.get(sqlstate[:2]) or Meaning.REFUSED


def concluded(error: BaseException) -> StoreUnavailable | None:
    """What to raise instead of a driver's error; None where the error itself should be seen."""
    match error:
        case StoreUnavailable():
            return None
        case asyncpg.PostgresError():
            return _answered(error)
        case asyncpg.TargetServerAttributeNotMatched():
            return StoreUnavailable("postgres", "no host takes writes: read-only, or a standby", refused=True)
        case asyncpg.InterfaceError() | asyncpg.InternalClientError() | OSError() | EOFError():
            return StoreUnavailable("postgres", str(error) or type(error).__name__)
    return None


def read_only(error: BaseException) -> bool:
    """Whether the server at the other end does not take writes, while another one may by now."""
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)


def ours(error: BaseException) -> bool:
    """Whether the mistake is in this program, so that it should be told with a trace."""
    return isinstance(error, asyncpg.PostgresError) and meaning(error.sqlstate or "") is Meaning.OURS


def _answered(error: asyncpg.PostgresError) -> StoreUnavailable | None:
    sqlstate = error.sqlstate or ""
    # The server's message only: its detail and context may hold values.
    said = f"{error.args[0] if error.args else type(error).__name__} ({sqlstate})"
    match meaning(sqlstate):
        case Meaning.VALUE:
            return None
        case Meaning.NOTHING_DONE:
            return NothingDone("postgres", said)
        case Meaning.TOO_LONG:
            return TooLong("postgres", said)
        case Meaning.AWAY:
            return StoreUnavailable("postgres", said)
        case Meaning.NOT_MIGRATED:
            return StoreUnavailable("postgres", f"{said}; does it need `taskyard-server migrate`?", refused=True)
    return StoreUnavailable("postgres", f"{said}; {_POOLER}" if _pooled(sqlstate, said) else said, refused=True)


def _pooled(sqlstate: str, said: str) -> bool:
    """Whether a pooler answers, or gives each transaction another session without knowing of prepared statements."""
    return sqlstate in ("42P05", "26000") or "startup parameter" in said or "unsupported pkt type" in said
