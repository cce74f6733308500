"""Every answer that Postgres can give is sorted, and what nobody has thought of is waited out."""

import asyncpg
import pytest
from asyncpg import exceptions

from taskyard_core.storage.postgres.answers import Meaning, concluded, meaning, ours
from taskyard_core.storage.unavailable import NothingDone, StoreUnavailable

ANSWERS = sorted(
    (
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, asyncpg.PostgresError) and kind.sqlstate
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_only_what_is_wrong_with_a_value_is_seen_as_it_is(kind: type[asyncpg.PostgresError]) -> None:
    conclusion = concluded(kind("what the server says"))
    assert kind.sqlstate is not None
    if kind.sqlstate[:2] in ("22", "23", "54"):
        assert conclusion is None
    else:
        assert conclusion is not None
        assert f"what the server says ({kind.sqlstate})" in conclusion.detail


@pytest.mark.parametrize(
    ("sqlstate", "wanted"),
    [
        *(
            (state, Meaning.REFUSED)
            for state in ("28P01", "28000", "42501", "42P05", "26000", "25006", "55000", "0A000")
        ),
        *((state, Meaning.REFUSED) for state in ("P0001", "55006", "F0000", "HV000", "ZZZZZ", "")),
        *((state, Meaning.AWAY) for state in ("08006", "53300", "53100", "57P01", "57P03", "XX000")),
        *((state, Meaning.TOO_LONG) for state in ("57014", "55P03")),
        *((state, Meaning.NOT_MIGRATED) for state in ("42P01", "3F000", "3D000", "42703", "42883")),
        *((state, Meaning.NOTHING_DONE) for state in ("40001", "40P01")),
        *((state, Meaning.OURS) for state in ("42601", "42804", "42P18", "21000")),
        *((state, Meaning.VALUE) for state in ("22021", "22P02", "22003", "23505", "23514", "22P05", "54000", "54001")),
    ],
)
def test_what_answers_mean(sqlstate: str, wanted: Meaning) -> None:
    assert meaning(sqlstate) is wanted


def test_a_refusal_says_so_and_a_pooler_is_named() -> None:
    refusal = concluded(asyncpg.InvalidPasswordError('password authentication failed for user "taskyard"'))
    assert str(refusal) == 'postgres refuses: password authentication failed for user "taskyard" (28P01)'
    assert "PgBouncer" in str(concluded(asyncpg.DuplicatePreparedStatementError("__asyncpg_stmt_1__ already exists")))
    assert "taskyard-server migrate" in str(concluded(asyncpg.UndefinedTableError("no relation taskyard.task")))


def test_a_server_that_decided_against_us_has_done_nothing() -> None:
    assert isinstance(concluded(asyncpg.DeadlockDetectedError("deadlock detected")), NothingDone)
    assert concluded(NothingDone("postgres", "as it is")) is None


@pytest.mark.parametrize(
    "error",
    [
        *(ConnectionRefusedError("nobody listens"), TimeoutError(), EOFError(), asyncpg.InterfaceError("is closed")),
        *(asyncpg.InternalClientError("confused"), asyncpg.UnsupportedServerFeatureError("SASL")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_an_answer_it_is_away(error: Exception) -> None:
    conclusion = concluded(error)
    assert isinstance(conclusion, StoreUnavailable)
    assert not conclusion.refused
    assert conclusion.detail


def test_a_mistake_of_ours_is_told_with_a_trace_and_waited_out() -> None:
    mistake = asyncpg.PostgresSyntaxError("syntax error")
    assert ours(mistake)
    assert isinstance(concluded(mistake), StoreUnavailable)
    assert not ours(asyncpg.InsufficientPrivilegeError("permission denied for table task"))
    assert concluded(TypeError("not the store's")) is None
