"""Values as JSON and back: the same for payloads and results."""

import dataclasses
import enum
import json
import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard import _json
from taskyard.worker.outcome import decode, encode

INTEGERS = st.integers() | st.integers(-(10**300), 10**300) | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63) - 1])
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner), max_leaves=20
)


@given(DOCUMENTS)
def test_what_json_can_express_comes_back(value: Any) -> None:
    encoded = encode(value)
    assert isinstance(encoded, bytes)
    back = decode(encoded)
    assert back == _json.decode(_json.encode(value), "payload") == json.loads(json.dumps(value))
    # Digits of a float that stands in for an integer would compare equal.
    assert repr(back) == repr(json.loads(json.dumps(value)))


@given(DOCUMENTS)
def test_the_server_can_read_what_is_sent(value: Any) -> None:
    orjson.loads(_json.dumps(value))


@given(st.binary() | st.text().map(str.encode) | DOCUMENTS.map(lambda value: json.dumps(value).encode()[1:]))
def test_what_is_no_json_is_a_value_error(document: bytes) -> None:
    try:
        json.loads(document)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
            _json.loads(document)


class Large(enum.Enum):
    VALUE = 2**70


@dataclasses.dataclass
class Point:
    x: int
    large: int = 2**65
    _hidden: int = 2**66


def test_what_else_can_be_given_may_hold_large_integers_too() -> None:
    assert _json.dumps({"p": Point(1), "e": Large.VALUE, "t": (2**64,), "none": None}) == (
        b'{"p":{"x":1,"large":36893488147419103232},"e":1180591620717411303424,"t":[18446744073709551616],"none":null}'
    )


class NotFinite(enum.Enum):
    VALUE = math.inf


@dataclasses.dataclass
class Measured:
    value: float
    _hidden: float = math.nan


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        [None, {"a": (1, math.nan)}],
        Measured(math.nan),
        [NotFinite.VALUE],
        [2**70, math.nan],
    ],
    ids=str,
)
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="NaN and infinity are no numbers in JSON"):
        _json.dumps(value)


def test_null_is_no_reason_to_refuse() -> None:
    given = {"null": [None, 1.5, True, "null"], "measured": Measured(0.5), "when": datetime(2026, 1, 2, tzinfo=UTC)}
    assert _json.loads(_json.dumps(given)) == {
        "null": [None, 1.5, True, "null"],
        "measured": {"value": 0.5},
        "when": "2026-01-02T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    "document",
    [
        b"NaN 12345678901234567890",
        b"[NaN,12345678901234567890]",
        b"1" * 5000,
        b"[" * 100_000 + b"1" * 20,
        b"\xff" + b"1" * 20,
    ],
)
def test_documents_with_large_numbers_are_read_as_strictly_as_others(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
        _json.loads(document)


def levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


@given(DOCUMENTS, st.integers(40, 70), st.sampled_from(["[", '{"[{\\"":']))
def test_depth_is_what_is_nested_and_not_what_strings_hold(value: Any, more: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    document = (opening * more + json.dumps(value) + closing * more).encode()
    assert _json.too_deep(document) == (levels(json.loads(document)) > 64)
