"""Which sessions to give up, as far as one look after the other can tell."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from taskyard_core.storage.sessions import LiveSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds before a session is given up.

    `grace` after its hello, while it may not be registered yet; `missing` that it must be seen without registration;
    `lease` after stores were away or a term began, since until then anybody may come back; `vouched` after its
    dispatcher last answered for it.
    """

    grace: float = 15.0
    missing: float = 2.0
    lease: float = 10.0
    vouched: float = 10.0

    @classmethod
    def for_leases(cls, seconds: float) -> "Patience":
        """What sessions need whose leases last that long."""
        return cls(grace=1.5 * seconds, lease=seconds, vouched=seconds)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Since when (session, generation) pairs were seen missing, on the monotonic clock."""

    since: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def after(
        self, now: float, live: Iterable[LiveSession], present: Collection[str], patience: Patience
    ) -> "Suspicion":
        """What the next look adds: sessions of age that nobody answers for; all others are cleared.

        One that is not `present` may have lost its registration with etcd itself: its dispatcher's word, which it gives
        to the task store, is as good.
        """
        missing = [s for s in live if s.id not in present and s.age > patience.grace and not _vouched(s, patience)]
        return Suspicion({(s.id, s.generation): self.since.get((s.id, s.generation), now) for s in missing})

    def ripe(self, now: float, steady_since: float | None, patience: Patience) -> list[tuple[str, int]]:
        """The sessions to give up; none unless all stores have answered since `steady_since` for long enough."""
        if steady_since is None or now - steady_since < patience.lease:
            return []
        return [session for session, since in self.since.items() if now - since >= patience.missing]


def _vouched(session: LiveSession, patience: Patience) -> bool:
    return session.vouched is not None and session.vouched <= patience.vouched
