"""The cluster that an experiment asks for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.backends import kubernetes as kubernetes_backend
from chaos.backends.cluster import Cluster
from chaos.backends.kubernetes import KubernetesCluster
from chaos.backends.local import Hand, LocalCluster, Options
from chaos.backends.local.options import CHAOS_WORKER
from chaos.backends.local.program import CHECKOUT
from chaos.experiments import Preset
from chaos.workloads import Workload
from chaos.workloads.fleet import FLEET, Group, Language, mixed
from chaos.workloads.registry import MIX, workload

VOLUME_BYTES = 6 * 1024**3
"""Of a full run's audit, with the database beside it."""


WORKERS = {
    Language.PYTHON: CHAOS_WORKER,
    Language.GO: (str(CHECKOUT / ".tools" / "chaos-worker"),),
    Language.TYPESCRIPT: ("node", str(CHECKOUT / "chaos" / "workers" / "typescript" / "dist" / "main.js")),
}
"""Programs that take part in a run; `make chaos-workers` builds those that are built."""

KUBERNETES = (
    "CHAOS_NAMESPACE",
    "CHAOS_REST",
    "CHAOS_GRPC",
    "CHAOS_POSTGRES_URL",
    "CHAOS_REDIS_URL",
    "CHAOS_WORKER_LOGS",
)
"""Variables that say where a cluster on Kubernetes is; addresses are separated by commas."""
SHARES = {**MIX, "poison": 0.007}
"""Of the load. A poisonous task costs its worker four lives of seconds, so there can't be many."""


HONEST = {"plain": 0.9, "slow": 0.05, "keyed": 0.05}
"""Of the load beside greedy clients: what it takes is to be the server's doing."""


def honest_load() -> Workload:
    """Those workloads at once."""
    return workload(",".join(f"{name}={share}" for name, share in HONEST.items()))


def load_for() -> Workload:
    """All workloads at once."""
    return workload(",".join(f"{name}={share}" for name, share in SHARES.items()))


def cluster_for(
    backend: str, directory: Path, preset: Preset, languages: Sequence[Language] = (Language.PYTHON,)
) -> Cluster:
    """A cluster that is not entered yet. Raises ValueError for a backend that there is not, or can't be found.

    On Kubernetes the fleet is the one that was deployed.
    """
    if backend == "local":
        return local(directory / "cluster", preset.retention, mixed(languages))
    if backend == "kubernetes":
        return kubernetes(os.environ)
    raise ValueError(f"no backend is called {backend!r}; there are local, kubernetes")


def local(directory: Path, retention: float, fleet: Sequence[Group] = FLEET) -> LocalCluster:
    """Processes of this machine, with the workers that all workloads together need."""
    keeps = str(retention)
    return LocalCluster(
        Options(
            directory=directory,
            workers=tuple(_hand(group) for group in fleet for _ in range(group.workers)),
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


def kubernetes(environment: Mapping[str, str]) -> KubernetesCluster:
    """Pods that somebody deployed, found by what the environment says."""
    missing = [name for name in KUBERNETES if name not in environment]
    if missing:
        raise ValueError(f"the kubernetes backend needs {', '.join(missing)} in the environment")
    namespace, rest, grpc, postgres_url, redis_url, worker_logs = (environment[name] for name in KUBERNETES)
    return KubernetesCluster(
        kubernetes_backend.Options(
            namespace=namespace,
            rest=tuple(rest.split(",")),
            grpc=tuple(grpc.split(",")),
            postgres_url=postgres_url,
            redis_url=redis_url,
            worker_logs=Path(worker_logs),
        )
    )


def _hand(group: Group) -> Hand:
    environment = {
        "TASKYARD_WORKER_SLOTS": str(group.slots),
        "CHAOS_WORKER_LABELS": " ".join(f"{name}={value}" for name, value in group.labels.items()),
        "CHAOS_WORKER_QUEUES": " ".join(group.queues),
    }
    return Hand(environment, WORKERS[group.language])
