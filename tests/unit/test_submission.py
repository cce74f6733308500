"""The rules about a submission's fields."""

import json
import time
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits, submission
from taskyard_core.domain.task import RetryPolicy, TaskSpec
from taskyard_core.domain.violations import Violation, within

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def build(**fields: Any) -> TaskSpec:
    return submission.build(**({"type": "t", "payload": b"null"} | fields))


def field_of(**fields: Any) -> str:
    with pytest.raises(Violation) as caught:
        build(**fields)
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    return caught.value.field


@given(namespace=NAMES, queue=NAMES, type_=NAMES)
def test_names_are_kept(namespace: str, queue: str, type_: str) -> None:
    spec = build(namespace=namespace, queue=queue, type=type_)
    assert (spec.namespace, spec.queue, spec.type) == (namespace, queue, type_)


@given(st.text(min_size=1))
def test_a_name_is_legal_or_refused(text: str) -> None:
    legal = len(text) <= limits.NAME_LENGTH and text.isascii() and text[0].isalnum()
    legal = legal and all(c.isalnum() or c in "._-" for c in text)
    if legal:
        assert build(queue=text).queue == text
    else:
        assert field_of(queue=text) == "queue"


@given(JSON)
def test_json_is_taken_as_the_bytes_it_is(value: Any) -> None:
    payload = json.dumps(value, indent=1).encode()
    assert build(payload=payload).payload == payload


def test_no_payload_is_null() -> None:
    assert build(payload=b"").payload == b"null"


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_json_or_refused(payload: bytes) -> None:
    try:
        json.loads(payload)
    except ValueError:
        assert field_of(payload=payload) == "payload"
    else:
        assert build(payload=payload).payload == payload


@given(st.integers(1, 130), st.sampled_from(["[", '{"a":']), st.text('[]{}"\\ab'))
def test_depth_is_counted_outside_of_strings(depth: int, opening: str, text: str) -> None:
    closing = "]" if opening == "[" else "}"
    payload = (opening * depth + json.dumps(text) + closing * depth).encode()
    assert submission.too_deep(payload, limits.JSON_DEPTH) == (depth > limits.JSON_DEPTH)


@given(st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b"a"]), max_size=300).map(b"".join))
def test_depth_of_what_is_no_json_is_found_all_the_same(document: bytes) -> None:
    assert submission.too_deep(document, 10_000) is False


@pytest.mark.parametrize("unit", [b'\\"', b'"', b"[", b"\\", b'"[', b'["'])
def test_depth_is_found_in_linear_time(unit: bytes) -> None:
    document = b"[" * 70 + b"]" * 70 + b'"' + unit * (limits.PAYLOAD_BYTES // len(unit))
    started = time.process_time()
    submission.too_deep(document, limits.JSON_DEPTH)
    assert time.process_time() - started < 1


def test_large_payloads_are_refused() -> None:
    fitting = b'"' + b"x" * (limits.PAYLOAD_BYTES - 2) + b'"'
    assert build(payload=fitting).payload == fitting
    assert field_of(payload=fitting + b" ") == "payload"


@given(st.integers())
def test_priorities_have_bounds(priority: int) -> None:
    if 0 <= priority <= 10:
        assert build(priority=priority).priority == priority
    else:
        assert field_of(priority=priority) == "priority"


def _assigned(letter: str) -> bool:
    return unicodedata.category(letter) != "Cn"


def _noncharacter(text: str) -> bool:
    return any(ord(letter) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(letter) <= 0xFDEF for letter in text)


@given(st.text(min_size=1))
def test_keys_are_printable_and_short(key: str) -> None:
    # Whether a character is assigned depends on the Unicode that Python was built with; such a one may be in a key.
    hidden = any(unicodedata.category(letter)[0] in "CZ" for letter in key if letter != " " and _assigned(letter))
    if not hidden and len(key.encode("utf-8", "replace")) <= limits.KEY_BYTES and not _noncharacter(key):
        assert build(idempotency_key=key).idempotency_key == key
    else:
        assert field_of(idempotency_key=key) == "idempotency_key"


@pytest.mark.parametrize("key", ["\ud800", "é" * 129, "a\nb", "a\0"])
def test_odd_keys_are_refused(key: str) -> None:
    assert field_of(idempotency_key=key) == "idempotency_key"


@given(st.floats())
def test_delays_are_finite_and_bounded(delay: float) -> None:
    if 0 <= delay <= limits.DELAY_SECONDS:
        assert build(delay=delay).delay == delay
    else:
        assert field_of(delay=delay) == "delay"


@given(st.floats())
def test_timeouts_are_finite_positive_and_bounded(timeout: float) -> None:
    if 0 < timeout <= limits.TIMEOUT_SECONDS:
        assert build(timeout=timeout).timeout == timeout
    else:
        assert field_of(timeout=timeout) == "timeout"


@given(
    max_attempts=st.none() | st.integers(-5, 2000),
    multiplier=st.none() | st.floats(),
    jitter=st.none() | st.floats(),
    backoff=st.none() | st.floats(),
)
def test_a_policy_is_within_bounds_or_refused(
    max_attempts: int | None, multiplier: float | None, jitter: float | None, backoff: float | None
) -> None:
    policy = RetryPolicy(max_attempts, backoff, multiplier, backoff, jitter)
    good = (
        (max_attempts is None or 1 <= max_attempts <= 1000)
        and (multiplier is None or 1 <= multiplier <= 100)
        and (jitter is None or 0 <= jitter <= 1)
        and (backoff is None or 0 <= backoff <= limits.INITIAL_BACKOFF_SECONDS)
    )
    if good:
        assert build(retry=policy).retry == policy
    else:
        assert field_of(retry=policy).startswith("retry.")


def test_moments_need_a_zone_and_a_sensible_year() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    assert build(run_at=moment, expires_at=moment).run_at == moment
    for bad in (datetime(2026, 1, 31), datetime(1969, 1, 1, tzinfo=UTC), datetime(9001, 1, 1, tzinfo=UTC)):
        assert field_of(run_at=bad) == "run_at"
        assert field_of(expires_at=bad) == "expires_at"
    assert field_of(run_at=moment, delay=0.0) == "delay"


def test_a_task_waits_for_its_time() -> None:
    assert build(delay=1.0).waits
    assert build(run_at=datetime(2026, 1, 31, tzinfo=UTC)).waits
    assert not build(delay=0.0).waits
    assert not build().waits


def test_equal_selectors_become_one() -> None:
    assert build(selector=" gpu ,io = ssd").selector == build(selector="io==ssd,gpu").selector


def test_a_violation_tells_its_path() -> None:
    with pytest.raises(Violation) as caught, within("tasks[3]"), within("retry"):
        raise Violation("jitter", "must be 0 to 1")
    assert caught.value.field == "tasks[3].retry.jitter"
