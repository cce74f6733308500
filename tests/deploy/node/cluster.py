"""A release at work: its pods as local processes, with everything that Kubernetes does for them here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.deploy.chart import NAMESPACE, Manifest, Release
from tests.deploy.node.api import Api
from tests.deploy.node.image import Image
from tests.deploy.node.network import Network
from tests.deploy.node.pod import Node, Pod
from tests.deploy.node.services import Services
from tests.deploy.node.workload import Deployment, StatefulSet


class Cluster:
    """One node, and what a release has on it."""

    def __init__(self, release: Release, node: Node) -> None:
        self.release = release
        self.node = node
        self.news = node.news
        self.pods: list[Pod] = []
        """All that there ever were."""
        self.services = Services(node.network, lambda: self.pods)
        self.deployments = {
            one["metadata"]["name"]: Deployment(one, self._make, self.news) for one in release.of("Deployment")
        }
        self.stateful_sets = {
            one["metadata"]["name"]: StatefulSet(one, self._make, self.news) for one in release.of("StatefulSet")
        }

    async def serve(self) -> None:
        """Have the release's Services answer."""
        await self.services.start(self.release.of("Service"))
        self.news.read_by(self.services.look)

    def install(self) -> None:
        """What `helm install` does, but for hooks: start everything at once."""
        for stores in self.stateful_sets.values():
            stores.start()
        for deployment in self.deployments.values():
            deployment.start()

    def run(self, name: str, template: Manifest) -> Pod:
        """Start a pod that nobody keeps."""
        return self._make(name, template, "")

    async def close(self) -> None:
        """Kill everything."""
        for pod in self.pods:
            pod.delete(grace=0)
        await asyncio.gather(*(pod.wait_over() for pod in self.pods), return_exceptions=True)
        await self.services.close()

    def _make(self, name: str, template: Manifest, subdomain: str) -> Pod:
        # Names of a StatefulSet's pods come again.
        directory = self.node.directory / "pods" / f"{len(self.pods)}-{name}"
        pod = Pod(self.node, name, directory, template, subdomain)
        self.pods.append(pod)
        return pod


@asynccontextmanager
async def cluster(release: Release, images: Mapping[str, Image], directory: Path) -> AsyncIterator[Cluster]:
    """A node with the release's Services and no pod yet."""
    network = await Network.make()
    api = Api(network.gateway, NAMESPACE, directory / "api")
    node = Node(
        name="node-1",
        namespace=NAMESPACE,
        directory=directory,
        network=network,
        images=images,
        find=release.named,
        api=api,
    )
    made = Cluster(release, node)
    try:
        await made.serve()
        with api.serving(lambda: made.pods):
            yield made
    finally:
        await made.close()
        await network.close()
