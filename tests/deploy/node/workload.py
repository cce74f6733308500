"""What keeps pods: Deployments with their rolling updates, and StatefulSets."""

import math
import random
from collections.abc import Callable

from tests.deploy.chart import Manifest
from tests.deploy.node.news import News
from tests.deploy.node.pod import Pod

MakePod = Callable[[str, Manifest, str], Pod]
"""Starts a pod: its name, its template, and the Service that names it."""

COST = "controller.kubernetes.io/pod-deletion-cost"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Workload:
    """As many pods as it should have."""

    def __init__(self, manifest: Manifest, make: MakePod, news: News) -> None:
        self._spec: Manifest = manifest["spec"]
        self._make = make
        self._news = news
        self.name: str = manifest["metadata"]["name"]
        self.replicas: int = self._spec["replicas"]
        self.pods: list[Pod] = []
        """Those that are not deleted."""

    @property
    def ready(self) -> bool:
        """Whether all its pods are there and ready."""
        return len(self.pods) == self.replicas and all(pod.ready for pod in self.pods)


class Deployment(Workload):
    """All its pods are alike, and have names that nobody had before."""

    _revision = ""

    def start(self) -> None:
        """Bring its pods up."""
        self._revision = _letters(10)
        self.scale(self.replicas)

    def scale(self, replicas: int) -> list[Pod]:
        """Have so many pods from now on; returns those that go: not ready, of little cost and young ones first."""
        self.replicas = replicas
        while len(self.pods) < replicas:
            self.pods.append(self._new())
        youngest = list(reversed(self.pods))
        spare = sorted(youngest, key=lambda pod: (pod.ready, int(pod.annotations.get(COST, "0"))))
        return [self._drop(pod) for pod in spare[: len(self.pods) - replicas]]

    def delete(self, pod: Pod, grace: float | None = None) -> Pod:
        """Have one pod deleted; returns its successor, which does not wait for it to go."""
        self._drop(pod, grace)
        self.scale(self.replicas)
        return self.pods[-1]

    async def restart(self, within: float) -> list[Pod]:
        """Replace all pods as its strategy says; returns the old ones, of which the last may be about to end."""
        rolling = self._spec["strategy"]["rollingUpdate"]
        surge = share(rolling["maxSurge"], self.replicas, up=True)
        unavailable = share(rolling["maxUnavailable"], self.replicas, up=False)
        self._revision = _letters(10)
        old, new = list(self.pods), list[Pod]()
        for pod in list(old):
            while len(new) < self.replicas and len(self.pods) < self.replicas + surge:
                new.append(self._new())
                self.pods.append(new[-1])
            await self._news.until(
                lambda: sum(pod.ready for pod in self.pods) > self.replicas - unavailable, within=within
            )
            self._drop(pod)
        await self._news.until(lambda: self.ready, within=within)
        return old

    def _new(self) -> Pod:
        return self._make(f"{self.name}-{self._revision}-{_letters(5)}", self._spec["template"], "")

    def _drop(self, pod: Pod, grace: float | None = None) -> Pod:
        self.pods.remove(pod)
        pod.delete(grace)
        return pod


class StatefulSet(Workload):
    """Its pods have names and volumes that stay."""

    def start(self) -> None:
        """Bring its pods up, all at once."""
        self.pods = [self._new(number) for number in range(self.replicas)]

    async def stop(self, within: float) -> None:
        """Scale to zero; returns when nothing runs any more."""
        going, self.pods, self.replicas = self.pods, [], 0
        for pod in going:
            pod.delete()
        await self._news.until(lambda: all(pod.over for pod in going), within=within)

    def come_back(self) -> None:
        """Scale to what it was."""
        self.replicas = self._spec["replicas"]
        self.start()

    def _new(self, number: int) -> Pod:
        name = f"{self.name}-{number}"
        template = self._spec["template"]
        claims = [
            {
                "name": claim["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}"},
            }
            for claim in self._spec.get("volumeClaimTemplates", [])
        ]
        spec = {**template["spec"], "volumes": [*template["spec"]["volumes"], *claims]}
        return self._make(name, {**template, "spec": spec}, self._spec["serviceName"])


def _letters(number: int) -> str:
    return "".join(random.choices(_LETTERS, k=number))


def share(value: int | str, of: int, *, up: bool) -> int:
    """A number of pods, given as such or in percent; rounded up or down."""
    if isinstance(value, int):
        return value
    exact = of * int(value.rstrip("%")) / 100
    return math.ceil(exact) if up else math.floor(exact)
