"""Requests that mean the same are told from others, whoever wrote them."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from taskyard_core.domain import submission
from taskyard_core.domain.task import RetryPolicy, TaskSpec
from taskyard_scheduler.meaning import canonical, request_hash
from tests.unit.test_submission import JSON

SAME = {
    "one": [b"1", b"1.0", b"1e0", b"1E+0", b"10e-1", b"0.1e1", b"1.000"],
    "nothing": [b"0", b"-0", b"0.0", b"-0e99999999999999999999", b"0E-7"],
    "a fraction": [b"0.5", b"5e-1", b"0.50", b"50e-2"],
    "below a fraction": [b"-12.5", b"-125E-1", b"-0.125e2"],
    "many decimals": [b"1e-30", b"0." + b"0" * 29 + b"1", b"10.0e-31"],
    "too many": [b"1e-31", b"0." + b"0" * 30 + b"1", b"10.0e-32"],
    "a large integer": [b"9007199254740993", b"9007199254740993.0", b"9007199254740.993e3"],
    "a huge integer": [b"1" + b"0" * 30, b"1e30", b"1.0E+30", b"0.1e31"],
    "a tiny one": [b"1e-400", b"0.1e-399", b"0." + b"0" * 399 + b"1"],
    "order": [b'{"a":1,"b":[2,{}]}', b' {"b" : [2.0, { }],\n"a" : 1e0} '],
    "a key twice": [b'{"a":1,"a":2}', b'{"a":2}'],
    "escapes": ['{"é<\\u0000":"/"}'.encode(), b'{"\\u00e9\\u003c\\u0000":"\\/"}'],
    "a pair": ['"😀"'.encode(), b'"\\ud83d\\ude00"'],
}
OTHER = [
    *(b"1e-29", b"1e-30", b"1e-31", b"1e-32", b"-1e-30", b"-1e-31"),
    *(
        b"1",
        b"10",
        b"0",
        b"0.1",
        b"-0.1",
        b"0.01",
        b"1e-2000",
        b'"1"',
        b"true",
        b"null",
        b"[]",
        b"{}",
        b"[1]",
        b"[[1]]",
    ),
    *(b"9007199254740992", b"9007199254740993", b"18446744073709551617", b"18446744073709551618", b"1e308", b"1e-308"),
    *(b"0.1000000000000000055511151231257827", b"[1,2]", b"[2,1]", b'{"a":1}', b'{"a":1,"b":null}', b'{"A":1}'),
    *(b'"\\u00e9"', b'"e\\u0301"', b'"e"', b'" e"'),
]


def spec(**fields: Any) -> TaskSpec:
    return submission.build(**({"type": "t", "payload": b"null"} | fields))


@pytest.mark.parametrize("documents", SAME.values(), ids=SAME)
def test_documents_that_mean_the_same_have_one_form(documents: list[bytes]) -> None:
    assert {canonical(document) for document in documents} == {canonical(documents[0])}
    assert len({request_hash(spec(payload=document)) for document in documents}) == 1


def test_documents_that_mean_another_have_another() -> None:
    assert len({canonical(document) for document in OTHER}) == len(OTHER)


def test_no_number_grows() -> None:
    assert len(canonical(b"1.7976931348623157e308")) == 309
    assert canonical(b"-1.5e-99999999999999999999") == b"-15e-100000000000000000000"


@given(JSON)
def test_the_form_keeps_the_value_and_is_its_own(value: Any) -> None:
    form = canonical(json.dumps(value, indent=1).encode())
    assert canonical(form) == form == canonical(json.dumps(value, ensure_ascii=False).encode())
    assert json.loads(form, parse_float=Decimal) == json.loads(json.dumps(value), parse_float=Decimal)


FULL = spec(
    payload=b'{"n": 1}',
    queue="q",
    priority=3,
    selector="io=ssd",
    delay=1.5,
    timeout=30,
    retry=RetryPolicy(multiplier=2),
)


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "u"},
        {"queue": "r"},
        {"priority": 4},
        {"selector": "io=hdd"},
        {"delay": 2.5},
        {"delay": None},
        {"timeout": 31.0},
        {"timeout": None},
        {"retry": None},
        {"retry": RetryPolicy(multiplier=3)},
        {"retry": RetryPolicy(multiplier=2, jitter=0)},
        {"payload": b'{"n": 2}'},
    ],
    ids=str,
)
def test_all_that_is_asked_for_counts(changed: dict[str, Any]) -> None:
    assert request_hash(replace(FULL, **changed)) != request_hash(FULL)


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": b'{"n":1.0}'},
        {"timeout": 30.0},
        {"retry": RetryPolicy(multiplier=2.0)},
        {"traceparent": "00-1"},
        {"namespace": "of the key"},
        {"idempotency_key": "k"},
    ],
    ids=str,
)
def test_what_asks_for_nothing_else_does_not_count(changed: dict[str, Any]) -> None:
    assert request_hash(replace(FULL, **changed)) == request_hash(FULL)


def test_no_delay_and_no_rules_of_its_own_are_said_in_two_ways() -> None:
    assert request_hash(spec(delay=0.0, retry=RetryPolicy())) == request_hash(spec())
