"""Steady submits from a pod in the cluster, and what became of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.deploy.chart import NAMESPACE, Manifest
from tests.deploy.node.cluster import Cluster
from tests.deploy.node.pod import Pod
from tests.deploy.python import PLACE
from tests.e2e.eventually import eventually

SOURCE = Path(__file__).with_name("submitter.py")
UNDER_WAY = 30
"""Answers after which load counts as steady."""


class Load:
    """What a client in a pod has been answered so far."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod

    @property
    def answers(self) -> list[dict[str, Any]]:
        """One for each submit, in the order in which they came."""
        *whole, _ = self._pod.log("submitter").split("\n")
        return [json.loads(line) for line in whole]

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Submits that failed."""
        return [answer for answer in self.answers if "id" not in answer]

    @property
    def accepted(self) -> set[str]:
        """Tasks by their ids."""
        return {answer["id"] for answer in self.answers if "id" in answer}


@asynccontextmanager
async def steady_load(cluster: Cluster, queue: str) -> AsyncIterator[Load]:
    """Inside, a client submits to this queue by every way there is; afterwards it has all its answers."""
    name = f"submitter-{queue}"
    source = {"kind": "ConfigMap", "metadata": {"name": name}, "data": {SOURCE.name: SOURCE.read_text()}}
    cluster.release.manifests.append(source)
    pod = cluster.run(name, _pod(name, queue))
    load = Load(pod)

    async def under_way() -> bool:
        return pod.container is not None and len(load.answers) >= UNDER_WAY

    await eventually(under_way, within=60)
    yield load
    pod.delete()
    await pod.wait_over()
    assert [ending.code for ending in pod.endings] == [0], pod.log("submitter")


def _pod(name: str, queue: str) -> Manifest:
    service = f"taskyard-scheduler.{NAMESPACE}.svc"
    variables = {
        "QUEUE": queue,
        "EVERY_POD": f"taskyard-scheduler-grpc.{NAMESPACE}.svc:7070",
        "ONE_ADDRESS": f"{service}:7070",
        "REST_URL": f"http://{service}:8080",
    }
    container = {
        "name": "submitter",
        "image": "ghcr.io/taskyard/taskyard-worker:any",
        "command": [str(PLACE), f"/client/{SOURCE.name}"],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "volumeMounts": [{"name": "client", "mountPath": "/client", "readOnly": True}],
        "securityContext": {},
    }
    return {
        "metadata": {"name": name, "labels": {"app": "shop"}},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
            "containers": [container],
            "volumes": [{"name": "client", "configMap": {"name": name}}],
        },
    }
