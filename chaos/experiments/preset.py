"""How dense and how long an experiment is."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Times are in seconds.

    Attributes:
        seconds: from the first submit to the last.
        storm: how long a storm lasts.
        gap: mean time between two faults of a storm.
        at_once: how many faults may overlap.
        longest: no fault of a storm lasts longer.
        settle: silence after a storm.
        calms: faults that come alone after each storm.
        calm_longest: no fault that comes alone lasts longer.
        calm_recovery: faults that are given longer to recover do not come alone.
        rest: silence at the end.
        rate: tasks a second.
        drain: how long the tasks may take to end once the load has.
        tasks: the load goes on until so many are accepted, if that takes longer.
        patience: how long sizes may take to be back once all tasks have ended.
        retention: how long the cluster keeps tasks that ended; if less than an hour, a run waits until they are gone.
    """

    seconds: float
    storm: float = 60.0
    gap: float = 4.0
    at_once: int = 4
    longest: float = 60.0
    settle: float = 8.0
    calms: int = 2
    calm_longest: float = 4.0
    calm_recovery: float = 15.0
    rest: float = 5.0
    rate: float = 200.0
    drain: float = 300.0
    tasks: int = 0
    patience: float = 90.0
    retention: float = 7 * 24 * 3600.0

    def lasting(self, minutes: float | None) -> "Preset":
        """The same, but so long, and with as many tasks for its time."""
        if minutes is None:
            return self
        return replace(self, seconds=minutes * 60, tasks=round(self.tasks * minutes * 60 / self.seconds))

    def loaded(self, rate: float | None) -> "Preset":
        """The same, with so many tasks a second."""
        return self if rate is None else replace(self, rate=rate)


PRESETS = {
    "smoke": Preset(seconds=40, storm=20, gap=2.5, longest=6, settle=4, calms=1, rate=100, drain=120),
    "quick": Preset(seconds=180, storm=40, gap=2.0, at_once=5, longest=15, calms=1, rate=150, drain=180),
    "abuse": Preset(seconds=1200, rate=50, drain=300, patience=900, retention=60),
    "full": Preset(
        seconds=3660,
        storm=90,
        gap=4.2,
        at_once=5,
        settle=12,
        calms=3,
        rate=500,
        drain=600,
        tasks=1_000_000,
        retention=300,
    ),
}
