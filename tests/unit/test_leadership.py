"""Who leads, and until when the leader may trust it: without etcd, on a clock of its own."""

from dataclasses import replace

import pytest

from taskyard_core.storage.etcd import KeyValue
from taskyard_core.storage.etcd.lease import Lease
from taskyard_core.storage.etcd.records import Candidate, leader_of
from taskyard_core.storage.term import TermOver
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.leadership.candidacy import Candidacy, standing

ONE = Candidate(dispatcher_id="one", pid=1, pod="pod-1", address="10.0.0.1:7071")


def candidacy(key: str, revision: int) -> KeyValue:
    return KeyValue(key, ONE.to_json(), create_revision=revision, mod_revision=revision)


def test_a_term_is_trusted_until_a_margin_before_its_lease_could_expire() -> None:
    now = 100.0
    lease = Lease(1, 5.0, granted_at=100.0)
    term = Term(7, lease, margin=1.0, clock=lambda: now)
    assert term.trusted_until == 104.0
    assert term.is_trusted(103.9)
    assert not term.is_trusted(104.0)
    lease.renewal_sent(102.0)
    lease.renewal_answered(5.0)
    assert term.is_trusted(105.9)
    term.require()
    now = 106.0  # As after a SIGSTOP: nothing happened but time.
    with pytest.raises(TermOver, match="term 7"):
        term.require()


def test_a_term_that_ended_is_never_trusted_again() -> None:
    lease = Lease(1, 5.0, granted_at=100.0)
    term = Term(7, lease, margin=1.0, clock=lambda: 100.0)
    term.end("resigned")
    term.end("later")
    assert not term.is_trusted(100.0)
    assert term.ended == "resigned"


def test_a_lost_lease_ends_trust_at_once() -> None:
    lease = Lease(1, 5.0, granted_at=100.0)
    term = Term(7, lease, margin=1.0, clock=lambda: 100.0)
    lease.lose("revoked")
    assert not term.is_trusted()


@pytest.mark.parametrize(
    ("others", "revision", "expected"),
    [
        ({}, 9, Candidacy.UNKNOWN),
        ({}, 10, Candidacy.GONE),
        ({"/a": 10}, 10, Candidacy.LEADING),
        ({"/a": 10, "/b": 9}, 10, Candidacy.WAITING),
        ({"/a": 10, "/b": 11}, 11, Candidacy.LEADING),
        ({"/a": 12, "/b": 11}, 12, Candidacy.GONE),
    ],
)
def test_the_key_created_first_leads(others: dict[str, int], revision: int, expected: Candidacy) -> None:
    candidates = {key: candidacy(key, created) for key, created in others.items()}
    assert standing(candidates, revision, "/a", 10) is expected


def test_a_leader_is_read_back_from_its_key() -> None:
    assert leader_of([candidacy("/b", 6), candidacy("/a", 5)]) == replace(ONE, term=5)
    assert leader_of([]) is None


def test_records_of_other_releases_are_read() -> None:
    old = b'{"dispatcher_id": "one", "pid": 1, "pod": "pod-1", "address": "10.0.0.1:7071", "term": null}'
    assert Candidate.from_json(old) == Candidate.from_json(ONE.to_json()) == ONE
    assert Candidate.from_json(ONE.to_json().replace(b"}", b',"of_tomorrow":[]}')) == ONE


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"dispatcher_id": 1, "pid": "x"}'])
def test_what_no_candidate_wrote_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
        Candidate.from_json(value)
