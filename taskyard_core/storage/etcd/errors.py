"""What can go wrong with etcd, as its callers need to tell it apart."""

from __future__ import annotations

import grpc
import grpc.aio

from taskyard_core.storage.unavailable import StoreUnavailable

_TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
# gRPC core's words for "no connection could be made"; the request cannot have left this process.
_NEVER_SENT = ("failed to connect", "connections to all backends failing", "dns resolution failed")
# What etcd says, whatever the status code, when it is too busy rather than unwilling.
_BUSY = "too many requests"
_NOBODY = "user name is empty"
_STALE_TOKEN = ("invalid auth token", _NOBODY, "revision of auth store is old")
_NO_LOGIN = "authentication is not enabled"
_COMPACTED = "required revision has been compacted"


OLDEST = (3, 4)


class EtcdError(StoreUnavailable):
    """Base of every error this package raises: whatever etcd says, nobody ends by it."""

    def __init__(self, detail: str, *, refused: bool = False) -> None:
        super().__init__("etcd", detail, refused=refused)


class EtcdUnavailable(EtcdError):
    """No member answered in time. Whether a write took effect is unknown unless `sent` is False."""

    def __init__(self, detail: str, *, sent: bool = True, refused: bool = False) -> None:
        super().__init__(detail, refused=refused)
        self.sent = sent


class EtcdRejected(EtcdError):
    """etcd answered and refused: permissions, quota, a malformed request. Repeating helps once it is mended there."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, refused=True)


class EtcdUnauthenticated(EtcdRejected):
    """The token was missing or stale: log in again and repeat, nothing was executed."""


class EtcdAsksNobody(EtcdRejected):
    """There is nothing to log in to: authentication is not enabled."""


class EtcdCompacted(EtcdRejected):
    """The revision asked for is compacted away: list again."""


class EtcdWentBack(EtcdRejected):
    """The revision asked for has not come yet, although it was seen before: list again."""


class LeaseNotFound(EtcdRejected):
    """The lease has expired or been revoked."""


def from_status(code: grpc.StatusCode, details: str, place: str) -> EtcdError:
    """Return the error for a gRPC status received from (or instead of) the member at `place`."""
    message = f"{place}: {code.name}: {details}"
    words = details.lower()
    if any(phrase in words for phrase in _STALE_TOKEN):
        return EtcdUnauthenticated(f"{message}; see etcd_user" if _NOBODY in words else message)
    if code in _TRANSIENT or _BUSY in words:
        return EtcdUnavailable(message, sent=not any(phrase in words for phrase in _NEVER_SENT))
    if _NO_LOGIN in words:
        return EtcdAsksNobody(message)
    if _COMPACTED in words:
        return EtcdCompacted(message)
    if "requested lease not found" in words:
        return LeaseNotFound(message)
    return EtcdRejected(message)


def from_rpc(error: grpc.aio.AioRpcError, place: str) -> EtcdError:
    """Return this package's error for one that gRPC raised."""
    return from_status(error.code(), error.details() or "", place)


def check_version(version: str) -> None:
    """Raise EtcdRejected for a member that is older than will do."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < OLDEST:
        raise EtcdRejected(f"version {version} is too old: it must be etcd {OLDEST[0]}.{OLDEST[1]} or newer")
