"""How values cross the wire: JSON documents, times, durations, page tokens."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain.violations import Violation
from taskyard_core.storage.tasks import TaskFilter
from taskyard_core.wire import times
from taskyard_scheduler.api import filters
from taskyard_scheduler.api.rest import answers, documents, values

SPACE = st.sampled_from(["", " ", "\n\t "])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))


@given(st.dictionaries(NAMES, JSON, max_size=6), st.sampled_from([None, 1]), SPACE)
def test_a_document_is_read_as_any_reader_would(fields: dict[str, Any], indent: int | None, space: str) -> None:
    body = (space + json.dumps(fields, indent=indent) + space).encode()
    assert documents.plain(body) == fields


@given(JSON, JSON)
def test_payloads_are_cut_out_as_they_are(first: Any, second: Any) -> None:
    texts = [json.dumps(value, indent=2) for value in (first, second)]
    tasks = ['{ "payload": ' + text + ' , "type":"t"}' for text in texts]
    read = documents.batch(('{"tasks" : [ ' + " , ".join(tasks) + " ] }").encode())["tasks"]
    assert [task["payload"].document for task in read] == [text.encode() for text in texts]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_document_or_refused(body: bytes) -> None:
    try:
        found = documents.task(body)
    except (documents.Malformed, Violation):
        return
    assert set(found) == set(json.loads(body.decode("utf-8", "surrogateescape")))


@given(st.floats(0, 1e9))
def test_durations_are_read_back_to_the_nanosecond(seconds: float) -> None:
    text = values.duration(seconds)
    assert text is not None
    assert values.seconds(text) == pytest.approx(seconds, abs=1e-9)
    assert times.seconds("f", times.duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5s"), (60.0, "60s"), (0.0, "0s"), (100.0, "100s"), (None, None)]
)
def test_durations_are_short(seconds: float | None, text: str | None) -> None:
    assert values.duration(seconds) == text


@given(st.floats(-1e9, 1e9))
def test_negative_durations_have_one_sign(seconds: float) -> None:
    assert times.seconds("f", times.duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(MOMENTS)
def test_moments_are_read_back(moment: datetime) -> None:
    body = bytes(answers.response(moment).body)
    assert body.endswith(b'Z"')
    assert values.moment(orjson.loads(body)) == moment
    assert times.moment("f", times.timestamp(moment)) == moment


def test_moments_of_other_zones_and_with_nanoseconds_are_read() -> None:
    expected = datetime(2026, 1, 31, 11, 0, 0, 123456, tzinfo=UTC)
    assert values.moment("2026-01-31T12:00:00.123456789+01:00") == expected
    assert values.moment("2026-01-31t11:00:00.123456z") == expected
    assert values.moment("2026-01-31T11:00:00Z") == expected - timedelta(microseconds=123456)


@given(st.uuids(), st.text(max_size=40))
def test_a_page_token_belongs_to_its_filter(last: Any, noise: str) -> None:
    wanted, other = TaskFilter(queue="a"), TaskFilter(queue="b")
    token = filters.page_token(wanted, str(last))
    assert filters.after(wanted, token) == str(last)
    assert filters.after(wanted, "") is None
    for bad, of in ((token, other), (token[:-4], wanted), (token + "AAAA", wanted), (noise or "x", wanted)):
        with pytest.raises(Violation) as caught:
            filters.after(of, bad)
        assert caught.value.field == "page_token"


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("read", "body", "field"),
    [
        (documents.batch, b'{"tasks":[' + b"0," * 2 * MIB + b"0]}", "tasks"),
        (documents.batch, b'{"tasks":[' + b"{}," * MIB + b"0]}", "tasks"),
        (documents.batch, b'{"tasks":[{"payload":[' + b"0," * 2 * MIB + b"0]}]}", "tasks[0].payload"),
        (documents.batch, b'{"tasks":[{"payload":"' + b"a" * 4 * MIB + b'"}]}', "tasks[0].payload"),
        (documents.batch, b'{"tasks":[{"payload":"' + b"a" * 4 * MIB, "tasks[0].payload"),
        (documents.batch, b'{"tasks":[{"depends_on":[' + b"0," * MIB + b"0]}]}", "tasks[0].depends_on"),
        (documents.batch, b'{"tasks":[{"depends_on":[' + b"0," * 100 + b"0]}]}", "tasks[0].depends_on"),
        (documents.batch, b'{"tasks":["' + b"a" * MIB + b'"]}', "tasks[0]"),
        (documents.task, b'{"queue":"' + b"a" * MIB + b'"}', "queue"),
        (documents.plain, b'{"filter":{' + b",".join(b'"a%d":0' % n for n in range(100)) + b"}}", "filter"),
        (documents.plain, b"{" + b",".join(b'"a%d":0' % n for n in range(100_000)) + b"}", "body"),
        (documents.plain, b'{"' + b"a" * MIB + b'":0}', "body"),
    ],
)
def test_a_document_of_too_many_parts_is_not_read_to_its_end(read: Any, body: bytes, field: str) -> None:
    try:
        [refusal] = read(body)["tasks"]
    except Violation as violation:
        refusal = violation
    assert isinstance(refusal, Violation)
    assert refusal.field == field


UNFIT = [
    (b'{"type":"t","type":1}', ".type"),
    (b'{"type":"t","payload":"' + b"a" * 300 * 1024 + b'"}', ".payload"),
    (b'{"payload":[' + b'{"a":"]}"},' * 24_000 + b"0]}", ".payload"),
    (b'{"payload":' + b"[" * 15_000 + b"]" * 15_000 + b"}", ".payload"),
    (b'{"payload":' + b"1" * 5_000 + b"}", ".payload"),
    (b'{"payload":{"mean":NaN,"text":"\\"}"}}', ".payload"),
    (b'{"payload":-Infinity}', ".payload"),
    (b'{"selector":"' + b'\\"]' * 20_000 + b'"}', ".selector"),
    (b'{"depends_on":[' + b'"]",' * 30 + b'"}"]}', ".depends_on"),
    (b"{" + b",".join(b'"f%d":{}' % n for n in range(30)) + b"}", ""),
    (b'{"\\u0000":1}', ".\\x00"),
    (b'"' + b'\\",' * 3_000 + b'"', ""),
    (b"1" * 5_000, ""),
    (b"NaN", ""),
]


@pytest.mark.parametrize(("item", "field"), UNFIT)
def test_a_task_that_is_not_read_to_its_end_is_refused_alone(item: bytes, field: str) -> None:
    body = b'{"tasks":[{"type":"a"} , ' + item + b' ,{"type":"b"}],"ids_only":true}'
    read = documents.batch(body)
    assert (read["tasks"][0], read["tasks"][2], read["ids_only"]) == ({"type": "a"}, {"type": "b"}, True)
    assert isinstance(read["tasks"][1], Violation)
    assert read["tasks"][1].field == f"tasks[1]{field}"


@pytest.mark.parametrize("rest", [b"[0]," * 100_000 + b"0]}]}", b'"}]}', b"[[[", b""])
def test_what_is_no_end_or_far_away_refuses_the_batch(rest: bytes) -> None:
    with pytest.raises(Violation) as refused:
        documents.batch(b'{"tasks":[{"type":"t","type":[' + rest)
    assert refused.value.field == "tasks[0].type"


@given(st.sampled_from([4096, 256 * 1024]), st.integers(-20, 10), JSON)
def test_values_end_where_they_end_wherever_it_is(length: int, more: int, last: Any) -> None:
    # Values are looked at in parts of these lengths.
    text = json.dumps(["x" * (length + more - len(json.dumps([last])) - 6), last])
    read = documents.batch(('{"tasks":[{"payload":' + text + ',"type":"t"}]}').encode())["tasks"]
    assert read[0]["payload"].document == text.encode()
    assert read[0]["type"] == "t"


@pytest.mark.parametrize("length", range(4085, 4100))
def test_a_number_is_not_cut(length: int) -> None:
    text = "0." + "1" * (length - 2)
    assert (
        documents.batch(('{"tasks":[{"payload":' + text + "}]}").encode())["tasks"][0]["payload"].document
        == text.encode()
    )
