"""The pure parts of talking to etcd: keys, differences, errors, delays, settings."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.storage.etcd import Backoff, Delete, EtcdKeys, EtcdSettings, EtcdUnavailable, KeyValue, LeaseNotFound
from taskyard_core.storage.etcd.change import difference
from taskyard_core.storage.etcd.errors import (
    EtcdAsksNobody,
    EtcdCompacted,
    EtcdRejected,
    EtcdUnauthenticated,
    check_version,
    from_status,
)
from taskyard_core.storage.unavailable import StoreUnavailable

items = st.builds(
    KeyValue,
    key=st.sampled_from("abcd"),
    value=st.binary(max_size=1),
    create_revision=st.integers(1, 3),
    mod_revision=st.integers(1, 3),
)
states = st.lists(items).map(lambda found: {item.key: item for item in found})


@given(states, states)
def test_a_difference_turns_one_state_into_the_other(old: dict[str, KeyValue], new: dict[str, KeyValue]) -> None:
    state = dict(old)
    for change in difference(old, new):
        if isinstance(change, Delete):
            assert state.pop(change.key) == change.previous
        else:
            state[change.key] = change.item
    assert state == new
    assert difference(new, new) == ()


def test_keys_live_under_one_prefix() -> None:
    keys = EtcdKeys("/here")
    assert keys.candidate(255) == "/here/election/00000000000000ff"
    assert keys.session("s") == "/here/sessions/s"
    assert keys.dispatcher("d") == "/here/dispatchers/d"
    assert keys.name(keys.session("s")) == "s"


@pytest.mark.parametrize("name", ["", "a/b", "a\0", "a\n"])
def test_a_name_that_would_leave_its_place_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="etcd key"):
        EtcdKeys().session(name)


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader", EtcdUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", EtcdUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests", EtcdUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", EtcdRejected),
        (grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token", EtcdUnauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied", EtcdRejected),
        (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty", EtcdUnauthenticated),
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "etcdserver: invalid user ID or password",
            EtcdRejected,
        ),
        (grpc.StatusCode.FAILED_PRECONDITION, "etcdserver: authentication is not enabled", EtcdAsksNobody),
        (grpc.StatusCode.FAILED_PRECONDITION, "something that nobody has thought of", EtcdRejected),
        (grpc.StatusCode.UNIMPLEMENTED, "unknown service etcdserverpb.KV", EtcdRejected),
        (grpc.StatusCode.NOT_FOUND, "etcdserver: requested lease not found", LeaseNotFound),
        (
            grpc.StatusCode.OUT_OF_RANGE,
            "etcdserver: mvcc: required revision has been compacted",
            EtcdCompacted,
        ),
    ],
)
def test_each_status_has_its_error(code: grpc.StatusCode, details: str, kind: type[Exception]) -> None:
    assert type(from_status(code, details, "m1:2379")) is kind


def test_only_a_request_that_never_left_is_known_to_have_done_nothing() -> None:
    refused = from_status(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses", "m1:2379")
    broken = from_status(grpc.StatusCode.UNAVAILABLE, "Socket closed", "m1:2379")
    assert isinstance(refused, EtcdUnavailable)
    assert not refused.sent
    assert isinstance(broken, EtcdUnavailable)
    assert broken.sent


def test_delays_grow_to_a_limit_and_start_again() -> None:
    backoff = Backoff(first=0.1, longest=1.0, draw=lambda low, high: high)
    assert [backoff.next() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next() == 0.1


def test_settings_that_cannot_work_are_refused_and_secrets_not_shown() -> None:
    with pytest.raises(ValueError, match="endpoint"):
        EtcdSettings(endpoints=())
    with pytest.raises(ValueError, match="password"):
        EtcdSettings(username="root")
    assert "hush" not in repr(EtcdSettings(username="root", password="hush"))


def test_whatever_etcd_says_is_waited_out_and_a_refusal_says_so() -> None:
    refusal = from_status(grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied", "etcd-0:2379")
    assert isinstance(refusal, StoreUnavailable)
    assert str(refusal) == "etcd refuses: etcd-0:2379: PERMISSION_DENIED: etcdserver: permission denied"
    assert not from_status(grpc.StatusCode.UNAVAILABLE, "no leader", "etcd-0:2379").refused


def test_an_etcd_that_is_too_old_is_refused_in_a_sentence() -> None:
    with pytest.raises(EtcdRejected, match=r"version 3\.3\.27 is too old: it must be etcd 3\.4 or newer"):
        check_version("3.3.27")
    for enough in ("3.4.23", "3.5.1", "3.10.0", "4.0.0", ""):
        check_version(enough)
