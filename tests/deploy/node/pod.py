"""A pod's life, as a kubelet leads it: init containers, restarts, probes, preStop, SIGTERM, SIGKILL."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.chart import Manifest
from tests.deploy.node.api import Api
from tests.deploy.node.container import Container, Mount, Process
from tests.deploy.node.environment import Lookup, environment, expanded
from tests.deploy.node.health import Health
from tests.deploy.node.image import Image, repository
from tests.deploy.node.namespaces import Namespaces
from tests.deploy.node.network import Network
from tests.deploy.node.news import News
from tests.deploy.node.probe import Target
from tests.deploy.node.volumes import Volumes

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
LEAST_GRACE = 2.0
"""Seconds that SIGTERM gets even if preStop has used the grace up."""


@dataclass(frozen=True)
class Node:
    """What pods find where they run."""

    name: str
    namespace: str
    directory: Path
    network: Network
    images: Mapping[str, Image]
    find: Lookup
    api: Api
    news: News = field(default_factory=News)


@dataclass(frozen=True)
class Ending:
    """How one run of a container ended."""

    container: str
    reason: str
    """exited, deleted or unhealthy."""
    code: int
    seconds: float
    """From being told to the end."""
    killed: bool
    """Whether its grace was over."""
    memory: int
    """The most bytes that it had, as far as that was seen."""


class Pod:
    """One pod. It lives from the moment that it is made until `over`."""

    def __init__(self, node: Node, name: str, directory: Path, template: Manifest, subdomain: str = "") -> None:
        self._node = node
        self.name = name
        self.directory = directory
        """Where its files and logs are."""
        self.subdomain = subdomain
        self.labels: dict[str, str] = template["metadata"]["labels"]
        self.annotations: dict[str, str] = dict(template["metadata"].get("annotations", {}))
        self.spec: Manifest = template["spec"]
        self.address = ""
        self.phase = "Pending"
        self.container: Container | None = None
        self.health: Health | None = None
        self.endings: list[Ending] = []
        self.restarts = 0
        self._deletion = asyncio.Event()
        self._grace: float = self.spec.get("terminationGracePeriodSeconds", 30)
        self._life = asyncio.create_task(self._live(), name=name)
        self._life.add_done_callback(self._note_failure)

    def __repr__(self) -> str:
        state = "deleted" if self.deleted else "ready" if self.ready else "not ready"
        said = self.health.complaints if self.health else {}
        return f"{self.name} ({self.phase}, {state}, {self.restarts} restarts, {said})"

    @property
    def deleted(self) -> bool:
        """Whether it has to go."""
        return self._deletion.is_set()

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._life.done()

    @property
    def ready(self) -> bool:
        """Whether its container says that it is."""
        return self.phase == "Running" and self.health is not None and self.health.ready

    def log(self, container: str) -> str:
        """What a container has printed so far, in all its runs."""
        return (self.directory / f"{container}.log").read_text()

    def delete(self, grace: float | None = None) -> None:
        """Let it go, within its own grace or this one; 0 kills it at once."""
        self._grace = self._grace if grace is None else grace
        self._deletion.set()
        self._node.news.tell()

    async def wait_over(self) -> None:
        """Returns when nothing of it runs any more; raises what went wrong in starting it."""
        await self._life

    # Its life

    async def _live(self) -> None:
        (self.directory / "root").mkdir(parents=True)
        self._namespaces = await Namespaces.make(self.name)
        try:
            self.address = await self._node.network.join(self._namespaces)
            claims = self._node.directory / "claims"
            self._volumes = Volumes(self.spec, self.directory, claims, self._node.find, self._node.api.account)
            self._files = self._write_files()
            await self._run_all()
        finally:
            await self._namespaces.close()
            self._node.network.leave(self.address)
            self._node.news.tell()

    async def _run_all(self) -> None:
        for manifest in self.spec.get("initContainers", []):
            if await self._run(manifest) != 0:
                return
        (manifest,) = self.spec["containers"]
        await self._run(manifest, lasting=True)

    async def _run(self, manifest: Manifest, *, lasting: bool = False) -> int:
        """Run a container, again where the pod's policy says so; returns the last exit code."""
        policy = self.spec.get("restartPolicy", "Always")
        failures = 0
        while True:
            if lasting:
                self.phase = "Running"
            ending = await self._run_once(manifest)
            self.endings.append(ending)
            self._node.news.tell()
            done = ending.code == 0 if not (lasting and policy == "Always") else False
            if self.deleted or done or policy == "Never":
                self.phase = "Succeeded" if ending.code == 0 else "Failed"
                return ending.code
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause(failures)):
                    await self._deletion.wait()
            if self.deleted:
                return ending.code
            failures += 1
            self.restarts += 1

    async def _run_once(self, manifest: Manifest) -> Ending:
        process = self._process(manifest)
        container = await Container.start(
            self._namespaces, process, self.directory / "root", self.directory / f"{manifest['name']}.log"
        )
        ports = {port["name"]: port["containerPort"] for port in manifest.get("ports", [])}
        self.container = container
        self.health = Health(manifest, Target(self.address, ports, container.run), self._node.news.tell)
        watching = asyncio.create_task(self.health.watch())
        try:
            reason = await self._until_it_must_end(container, self.health)
            return await self._end(container, manifest, reason)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self.container = self.health = None
            container.close()

    async def _until_it_must_end(self, container: Container, health: Health) -> str:
        reasons = {
            asyncio.create_task(container.wait()): "exited",
            asyncio.create_task(self._deletion.wait()): "deleted",
            asyncio.create_task(health.failed.wait()): "unhealthy",
        }
        done, others = await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        return reasons[done.pop()]

    async def _end(self, container: Container, manifest: Manifest, reason: str) -> Ending:
        memory, began, killed = container.peak_memory(), time.monotonic(), False
        if reason != "exited" and self._grace:
            await self._before_stop(container, manifest)
            container.stop()
            left = max(LEAST_GRACE, began + self._grace - time.monotonic())
            killed = not await container.ended(within=left)
        container.signal(signal.SIGKILL)
        code = await container.wait()
        return Ending(manifest["name"], reason, code, time.monotonic() - began, killed, memory)

    async def _before_stop(self, container: Container, manifest: Manifest) -> None:
        hook = manifest.get("lifecycle", {}).get("preStop")
        if hook:
            # Kubernetes does the sleeping; the container has no program for it.
            await container.ended(within=min(hook["sleep"]["seconds"], self._grace))

    def _note_failure(self, life: asyncio.Task[None]) -> None:
        if not life.cancelled() and (error := life.exception()):
            self._node.news.fail(error)

    # What its containers get

    def _process(self, manifest: Manifest) -> Process:
        image = self._node.images[repository(manifest["image"])]
        fields = {
            "metadata.name": self.name,
            "metadata.namespace": self._node.namespace,
            "spec.nodeName": self._node.name,
            "status.podIP": self.address,
        }
        given = {**image.environment, "HOSTNAME": self.name, **self._node.api.variables}
        variables = environment(manifest, given, fields, self._node.find)
        entrypoint = manifest.get("command", image.entrypoint)
        arguments = manifest.get("args", () if "command" in manifest else image.arguments)
        system = [Mount(place, target) for target, place in image.files.items()]
        context = {**self.spec["securityContext"], **manifest["securityContext"]}
        return Process(
            command=[expanded(word, variables) for word in [*entrypoint, *arguments]],
            environment=variables,
            user=context["runAsUser"],
            group=context["runAsGroup"],
            directory=manifest.get("workingDir", image.directory),
            mounts=[*system, *self._files, *self._volumes.mounts(manifest)],
            stop_signal=image.stop_signal,
        )

    def _write_files(self) -> list[Mount]:
        """Those in /etc that Kubernetes or the container's runtime makes."""
        user, group = self.spec["securityContext"]["runAsUser"], self.spec["securityContext"]["runAsGroup"]
        domain = "svc.cluster.local"
        texts = {
            "hostname": f"{self.name}\n",
            "hosts": f"127.0.0.1 localhost\n{self.address} {self.name}\n",
            "resolv.conf": f"search {self._node.namespace}.{domain} {domain} cluster.local\n"
            f"nameserver {self._node.network.gateway}\noptions ndots:5\n",
            "nsswitch.conf": "hosts: files dns\n",
            "passwd": f"root:x:0:0::/root:\nnonroot:x:{user}:{group}::/tmp:\n",
            "group": f"root:x:0:\nnonroot:x:{group}:\n",
        }
        directory = self.directory / "etc"
        directory.mkdir()
        for name, text in texts.items():
            (directory / name).write_text(text)
        return [Mount(directory / name, f"/etc/{name}") for name in texts]


def pause(failures: int) -> float:
    """Seconds before a container that failed so often before is started again."""
    return min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) if failures else 0.0
