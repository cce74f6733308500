"""The pods of a cluster, by label, as they were a moment ago."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx2
from lightkube import AsyncClient
from lightkube.resources.core_v1 import Pod

from chaos.backends.cluster import Part, Role

logger = logging.getLogger(__name__)

NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
APPLICATION = "taskyard"
LABELS: dict[str, Any] = {NAME: APPLICATION, COMPONENT: [str(role) for role in Role]}
LOOK_EVERY_SECONDS = 0.5


class Pods:
    """Looks again and again: what is missed once is seen at the next look."""

    def __init__(self, client: AsyncClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._parts: dict[str, Part] = {}
        self._ready: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self.expected: Counter[Role] = Counter()
        """How many ready pods of each role make the cluster whole: as many as there were at the start."""

    async def start(self) -> None:
        """Looks for the first time, and from now on."""
        await self.look()
        self.expected = Counter(part.role for part in self._parts.values())
        self._looking = asyncio.create_task(self._keep_looking(), name="look for pods")

    async def close(self) -> None:
        """Ends looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def parts(self, roles: Sequence[Role]) -> list[Part]:
        """The pods of some roles."""
        return [part for part in self._parts.values() if part.role in roles]

    def part(self, name: str) -> Part:
        """A pod by name. Raises LookupError when there is none any more."""
        return self._parts[name]

    def short(self) -> list[str]:
        """Roles that have fewer ready pods than they had."""
        ready = Counter(part.role for part in self._parts.values() if part.name in self._ready)
        return [str(role) for role, count in self.expected.items() if ready[role] < count]

    async def delete(self, name: str, grace: int | None) -> None:
        """Deletes a pod; None is the grace that the pod itself asks for."""
        await self._client.delete(Pod, name, namespace=self._namespace, grace_period=grace)
        await self.look()

    async def look(self) -> None:
        """Asks the API which pods there are."""
        found = [pod async for pod in self._client.list(Pod, namespace=self._namespace, labels=LABELS)]
        alive = [pod for pod in found if pod.metadata and pod.metadata.deletionTimestamp is None]
        self._parts = {part.name: part for part in sorted(map(_part, alive), key=lambda part: part.name)}
        self._ready = {_part(pod).name for pod in alive if _is_ready(pod)}

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                await self.look()
            except httpx2.HTTPError as error:
                logger.warning("the Kubernetes API did not answer: %s", error)


def _part(pod: Pod) -> Part:
    if pod.metadata is None or pod.metadata.name is None or pod.metadata.labels is None:
        raise ValueError("a pod has a name and the labels it was asked for by")
    addresses = {"ip": pod.status.podIP} if pod.status and pod.status.podIP else {}
    return Part(pod.metadata.name, Role(pod.metadata.labels[COMPONENT]), None, addresses)


def _is_ready(pod: Pod) -> bool:
    conditions = pod.status.conditions or [] if pod.status else []
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)
