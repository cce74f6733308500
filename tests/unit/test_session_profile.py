"""What etcd is told of a session's worker: bounded, whatever its hello says."""

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits
from taskyard_core.storage.etcd.profile import profile
from taskyard_core.storage.sessions import SessionRecord

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from('"\\'), max_size=256)
LARGE = {
    "types": [f"{number:0128d}" for number in range(limits.SESSION_TYPES)],
    "queues": [f"{number:063d}" for number in range(limits.SESSION_TYPES)],
    "labels": {f"{number:063d}": "😀" * limits.LABEL_VALUE_LENGTH for number in range(limits.LABELS)},
}


def record(**fields: object) -> SessionRecord:
    base = {"id": "s", "namespace": "default", "worker": "w", "dispatcher": "d", "types": ["a"], "slots": 1}
    return SessionRecord(**{**base, **fields})  # type: ignore[arg-type]


def test_a_usual_worker_is_told_whole() -> None:
    told = json.loads(profile(record(labels={"b": "2", "a": "1"}, queues=["q"], pod="p", secret_hash=b"x" * 32)))
    assert told == {
        "worker": "w",
        "namespace": "default",
        "pod": "p",
        "sdk": "",
        "version": "",
        "slots": 1,
        "labels": {"a": "1", "b": "2"},
        "types": ["a"],
        "queues": ["q"],
    }


def test_the_largest_hello_is_shortened_and_says_so() -> None:
    text = "\\" * limits.LABEL_VALUE_LENGTH
    value = profile(record(**LARGE, worker=text, pod=text, sdk=text, version=text, namespace="n" * 63))
    assert len(value) <= limits.SESSION_PROFILE_BYTES
    told = json.loads(value)
    assert told["shortened"] == {"labels": 64, "types": 1000, "queues": 1000}
    assert told["types"] == LARGE["types"][: len(told["types"])]  # type: ignore[index]
    assert len(told["types"]) > 5


def test_the_order_of_labels_makes_no_difference() -> None:
    assert profile(record(labels={"a": "1", "b": "2"})) == profile(record(labels={"b": "2", "a": "1"}))


@given(
    labels=st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=63), TEXT, max_size=64),
    types=st.lists(st.text(string.ascii_letters, min_size=1, max_size=128), max_size=1000),
    texts=st.tuples(TEXT, TEXT, TEXT, TEXT),
)
def test_it_is_json_within_its_bound(labels: dict[str, str], types: list[str], texts: tuple[str, ...]) -> None:
    names = dict(zip(("worker", "pod", "sdk", "version"), texts, strict=True))
    value = profile(record(labels=labels, types=types, **names))
    assert len(value) <= limits.SESSION_PROFILE_BYTES
    told = json.loads(value)
    if "shortened" not in told:
        assert (told["labels"], told["types"]) == (labels, types)
    assert told["labels"].items() <= labels.items()
