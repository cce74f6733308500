"""The sessions that etcd knows, kept up to date by a watch."""

from collections.abc import Collection

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.etcd import Etcd, EtcdError
from taskyard_dispatcher.leadership import Term


class Registrations:
    """One listing, and then each change as it comes. Following the watch is a duty of its own."""

    name = "registrations"
    interval = 0.0

    def __init__(self, etcd: Etcd, clock: Clock) -> None:
        self._etcd = etcd
        self._clock = clock
        self._watch = etcd.watch(etcd.keys.sessions)
        self._heard_before = self._watch.heard_at
        self.steady_since: float | None = None
        """Monotonic seconds since when etcd has told of every change; None while it does not answer."""

    @property
    def sessions(self) -> Collection[str]:
        """Ids of the sessions that are registered, as far as was heard."""
        return {self._etcd.keys.name(key) for key in self._watch.current}

    async def listed(self) -> set[str]:
        """Ids of the sessions that are registered right now; raises StoreUnavailable."""
        listing = await self._etcd.kv.get_prefix(self._etcd.keys.sessions)
        return {self._etcd.keys.name(item.key) for item in listing.items}

    async def run_once(self, term: Term) -> None:
        """One step of the watch, at most a few seconds of silence. See Duty."""
        term.require()
        try:
            await self._watch.run_once()
        except EtcdError:
            # A refusal (permissions, quota) takes the leader's other duties no further than an outage does.
            self.steady_since = None
            self._heard_before = self._watch.heard_at
            await self._watch.aclose()
            raise
        # A step may also be a few seconds of silence, which is no sign that etcd is back.
        if self.steady_since is None and self._watch.heard_at != self._heard_before:
            self.steady_since = self._clock.monotonic()

    async def close(self) -> None:
        """Let go of the watch."""
        await self._watch.aclose()
