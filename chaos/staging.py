"""The cluster that an experiment asks for."""

from collections.abc import Mapping
from pathlib import Path

from chaos.backends.cluster import Cluster
from chaos.backends.local import LocalCluster, Options
from chaos.experiments import Preset
from chaos.workloads import Workload
from chaos.workloads.fleet import FLEET, Group
from chaos.workloads.registry import MIX, workload

VOLUME_BYTES = 6 * 1024**3
"""Of a full run's audit, with the database beside it."""


SHARES = {**MIX, "poison": 0.007}
"""Of the load. A poisonous task costs its worker four lives of seconds, so there can't be many."""


def load_for() -> Workload:
    """All workloads at once."""
    return workload(",".join(f"{name}={share}" for name, share in SHARES.items()))


def cluster_for(backend: str, directory: Path, preset: Preset) -> Cluster:
    """A cluster that is not entered yet. Raises ValueError for a backend that there is not."""
    if backend == "local":
        return local(directory / "cluster", preset.retention)
    raise ValueError(f"no backend is called {backend!r}; there are local, kubernetes")


def local(directory: Path, retention: float) -> LocalCluster:
    """Processes of this machine, with the workers that all workloads together need."""
    keeps = str(retention)
    return LocalCluster(
        Options(
            directory=directory,
            workers=tuple(_environment(group) for group in FLEET for _ in range(group.workers)),
            settings={
                "TASKYARD_RETENTION": keeps,
                "TASKYARD_DEAD_LETTER_RETENTION": keeps,
                # A line for each of millions of transitions; the audit has them.
                "TASKYARD_LOG_TRANSITIONS": "off",
            },
            volume_bytes=VOLUME_BYTES,
            clocks=True,
        )
    )


def _environment(group: Group) -> Mapping[str, str]:
    return {
        "TASKYARD_WORKER_SLOTS": str(group.slots),
        "CHAOS_WORKER_LABELS": " ".join(f"{name}={value}" for name, value in group.labels.items()),
        "CHAOS_WORKER_QUEUES": " ".join(group.queues),
    }
