"""Services: their names, their addresses, and the pods behind them."""

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.deploy.chart import Manifest
from tests.deploy.node.names import Names
from tests.deploy.node.network import Network
from tests.deploy.node.pod import Pod
from tests.deploy.node.proxy import Proxy

PROPAGATION = 1.0
"""Seconds until names and proxies know of a change of pods: what preStop is there to outlast."""


@dataclass(frozen=True)
class Service:
    """One of them. Without an address its name means its pods'."""

    manifest: Manifest
    address: str | None

    @property
    def name(self) -> str:
        """Its full name."""
        metadata = self.manifest["metadata"]
        return f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"

    def pods(self, every: Iterable[Pod]) -> list[Pod]:
        """Those that it leads to now."""
        spec = self.manifest["spec"]
        early = spec.get("publishNotReadyAddresses", False)
        return [
            pod
            for pod in every
            if pod.address and not pod.deleted and not pod.over and (pod.ready or early)
            if spec["selector"].items() <= pod.labels.items()
        ]


Endpoints = Mapping[str, Sequence[Pod]]


class Services:
    """Keeps names and proxies up to date."""

    def __init__(self, network: Network, pods: Callable[[], Iterable[Pod]]) -> None:
        self._network = network
        self._pods = pods
        self._services: list[Service] = []
        self._proxies: list[Proxy] = []
        self._endpoints: Endpoints = {}
        self._shown = asyncio.Event()
        self._names = Names()

    async def start(self, manifests: Iterable[Manifest]) -> None:
        """Make these Services."""
        await self._names.listen(self._network.gateway)
        for manifest in manifests:
            headless = manifest["spec"].get("clusterIP") == "None"
            service = Service(manifest, None if headless else await self._network.service_address())
            self._services.append(service)
            if service.address:
                for port in manifest["spec"]["ports"]:
                    proxy = Proxy(functools.partial(self._targets, service, port))
                    await proxy.listen(service.address, port["port"])
                    self._proxies.append(proxy)
        self._show(self._seen())

    def look(self) -> None:
        """Pods have changed; names and proxies follow a little later."""
        asyncio.get_running_loop().call_later(PROPAGATION, self._show, self._seen())

    async def settled(self) -> None:
        """Returns when names and proxies know what there is now."""
        while self._endpoints != self._seen():
            self._shown.clear()
            await self._shown.wait()

    def address(self, name: str) -> str:
        """Where a Service with an address of its own is."""
        (found,) = [one.address for one in self._services if one.manifest["metadata"]["name"] == name and one.address]
        return found

    async def close(self) -> None:
        """No Service is there any more."""
        self._names.close()
        await asyncio.gather(*(proxy.close() for proxy in self._proxies))

    def _seen(self) -> Endpoints:
        return {service.name: service.pods(self._pods()) for service in self._services}

    def _show(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._shown.set()
        records: dict[str, list[str]] = {}
        for service in self._services:
            pods = endpoints.get(service.name, ())
            records[service.name] = [service.address] if service.address else [pod.address for pod in pods]
            records |= {f"{pod.name}.{service.name}": [pod.address] for pod in pods if _is_of(pod, service)}
        self._names.records = records

    def _targets(self, service: Service, port: Manifest) -> list[tuple[str, int]]:
        return [
            (pod.address, container_port["containerPort"])
            for pod in self._endpoints.get(service.name, ())
            for container in pod.spec["containers"]
            for container_port in container.get("ports", [])
            if container_port["name"] == port["targetPort"]
        ]


def _is_of(pod: Pod, service: Service) -> bool:
    """Whether the Service gives the pod a name of its own."""
    return bool(pod.subdomain == service.manifest["metadata"]["name"])
