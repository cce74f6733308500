"""Chaos Mesh experiments that are under way, by what they were made for."""

from collections.abc import Hashable
from uuid import uuid4

import httpx2
from lightkube import AsyncClient
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta

from chaos.backends.cluster import Unsupported
from chaos.backends.kubernetes.mesh import GROUP, KINDS, VERSION, Experiment

NOT_FOUND = 404
RESOURCES: dict[str, type[GenericNamespacedResource]] = {
    kind: create_namespaced_resource(GROUP, VERSION, kind, plural) for kind, plural in KINDS.items()
}


class Experiments:
    """Made in a namespace; all are deleted when this is closed."""

    def __init__(self, client: AsyncClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._names: dict[Hashable, list[tuple[str, str]]] = {}

    async def begin(self, key: Hashable, experiment: Experiment) -> None:
        """Makes an experiment. Raises Unsupported where Chaos Mesh is not installed."""
        name = f"taskyard-{uuid4().hex[:12]}"
        body = RESOURCES[experiment.kind](
            metadata=ObjectMeta(name=name, namespace=self._namespace), spec=experiment.spec
        )
        try:
            await self._client.create(body)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code == NOT_FOUND:
                raise Unsupported(f"{experiment.kind} needs Chaos Mesh in the cluster") from error
            raise
        self._names.setdefault(key, []).append((experiment.kind, name))

    async def end(self, key: Hashable) -> None:
        """Deletes the experiments made for a key."""
        for kind, name in self._names.pop(key, []):
            try:
                await self._client.delete(RESOURCES[kind], name, namespace=self._namespace)
            except httpx2.HTTPStatusError as error:
                if error.response.status_code != NOT_FOUND:
                    raise

    async def close(self) -> None:
        """Deletes all."""
        for key in list(self._names):
            await self.end(key)
