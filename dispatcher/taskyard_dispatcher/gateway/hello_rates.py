"""How often hellos may come: each is written to Postgres and etcd, which keep what was written for a while."""

import re
from collections import OrderedDict

from taskyard_core.domain import limits
from taskyard_core.runtime.clock import Clock
from taskyard_core.runtime.token_bucket import TokenBucket


class TooManyHellos(Exception):
    """This one came too soon; `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("hello: too many or too large ones in a short time")
        self.retry_after = retry_after


class Buckets:
    """A token bucket for each name; one that was not used for longest is forgotten, and full when it is used again."""

    def __init__(self, *, burst: float, rate: float, most: int) -> None:
        self._burst = burst
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Seconds until there is a token; 0 if there is one."""
        bucket = self._buckets.get(name)
        return bucket.wait(now) if bucket else 0.0

    def take(self, name: str, amount: float, now: float) -> None:
        """Take tokens."""
        bucket = self._buckets.setdefault(name, TokenBucket(self._burst, self._rate, now))
        bucket.take(amount, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)


class HelloRates:
    """Bounds the bytes of hellos by peer and their number by session.

    A session is charged for its worker's hellos only: were it charged for those that are refused, whoever knows its id
    could keep its worker away.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._peers = Buckets(
            burst=limits.HELLO_KIB_PER_PEER, rate=limits.HELLO_KIB_PER_PEER_AND_SECOND, most=limits.HELLO_BUCKETS
        )
        self._sessions = Buckets(
            burst=limits.HELLOS_PER_SESSION, rate=limits.HELLOS_PER_SESSION_AND_SECOND, most=limits.HELLO_BUCKETS
        )

    def arrived(self, peer: str, size: int) -> None:
        """A hello of `size` bytes is here, welcome or not; raises TooManyHellos. `peer` is in gRPC's words."""
        now, host = self._clock.monotonic(), _host(peer)
        _require(self._peers.wait(host, now))
        self._peers.take(host, max(1.0, size / 1024), now)

    def require(self, session: str) -> None:
        """Somebody who says that he is this session's worker wants to be welcomed; raises TooManyHellos."""
        _require(self._sessions.wait(session, self._clock.monotonic()))

    def welcomed(self, session: str) -> None:
        """It was the session's own worker."""
        self._sessions.take(session, 1, self._clock.monotonic())


def _require(wait: float) -> None:
    if wait > 0:
        raise TooManyHellos(wait)


def _host(peer: str) -> str:
    return re.sub(r":\d+$", "", peer)
