"""Which sessions to give up, as far as one look after the other can tell."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.storage.sessions import LiveSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds before a session is given up.

    `grace` after its hello, while it may not be registered yet; `missing` that it must be seen without registration;
    `lease` after stores were away or a term began, since until then anybody may come back.
    """

    grace: float = 15.0
    missing: float = 2.0
    lease: float = 10.0

    @classmethod
    def for_leases(cls, seconds: float) -> "Patience":
        """What sessions need whose leases last that long."""
        return cls(grace=1.5 * seconds, lease=seconds)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Since when (session, generation) pairs were seen missing, on the monotonic clock."""

    since: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def after(
        self, now: float, live: Iterable[LiveSession], registered: Collection[str], patience: Patience
    ) -> "Suspicion":
        """What the next look adds: sessions of age that are not registered; all others are cleared."""
        missing = [s for s in live if s.id not in registered and s.age > patience.grace]
        return Suspicion({(s.id, s.generation): self.since.get((s.id, s.generation), now) for s in missing})

    def ripe(self, now: float, steady_since: float | None, patience: Patience) -> list[tuple[str, int]]:
        """The sessions to give up; none unless all stores have answered since `steady_since` for long enough."""
        if steady_since is None or now - steady_since < patience.lease:
            return []
        return [session for session, since in self.since.items() if now - since >= patience.missing]
