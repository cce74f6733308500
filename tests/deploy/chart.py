"""The Helm chart as tests see it: rendered by the real Helm, once for each values file."""

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "taskyard"
TOOLS = ROOT / ".tools"
RELEASE, NAMESPACE = "taskyard", "jobs"
VALUES = sorted([*CHART.glob("ci/*-values.yaml"), *(ROOT / "deploy" / "skaffold").glob("*-values.yaml")])

Manifest = dict[str, Any]

POD_OWNERS = {"Deployment", "StatefulSet", "Job"}


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs Helm, with no cluster in reach; what it says is in the answer."""
    command = [str(TOOLS / "helm"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": "/nonexistent"})


def template(*arguments: str | Path, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """`helm template` with these arguments."""
    return helm("template", RELEASE, chart, "--namespace", NAMESPACE, *arguments)


@functools.cache
def rendered(values: Path) -> str:
    """What Helm makes of a values file, as text."""
    answer = template("--values", values)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@functools.cache
def release(values: Path) -> "Release":
    """What Helm makes of a values file."""
    return Release(rendered(values))


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses keys that come twice, of which Kubernetes would silently drop one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; raises ConstructorError for a doubled key."""
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key comes twice", node.start_mark)
        return mapping


class Release:
    """All manifests of one rendering."""

    def __init__(self, text: str) -> None:
        documents = yaml.load_all(text, Loader=Loader)
        self.manifests: list[Manifest] = [document for document in documents if document]

    def of(self, *kinds: str) -> list[Manifest]:
        """The manifests of these kinds."""
        return [manifest for manifest in self.manifests if manifest["kind"] in kinds]

    def named(self, kind: str, name: str) -> Manifest:
        """The one manifest of that kind and name."""
        (found,) = [manifest for manifest in self.of(kind) if manifest["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator["Pod"]:
        """Every kind of pod that it would start."""
        for manifest in self.of(*POD_OWNERS):
            yield Pod(manifest, manifest["spec"]["template"])
        for manifest in self.of("Pod"):
            yield Pod(manifest, manifest)

    def selected(self, selector: dict[str, str]) -> list["Pod"]:
        """The kinds of pods that have these labels."""
        return [pod for pod in self.pods() if selector.items() <= pod.labels.items()]


class Pod:
    """One kind of pod and what it belongs to."""

    def __init__(self, owner: Manifest, template: Manifest) -> None:
        self.owner = owner
        self.labels: dict[str, str] = template["metadata"]["labels"]
        self.spec: Manifest = template["spec"]
        self.containers: list[Manifest] = self.spec["containers"]
        self.every_container = [*self.spec.get("initContainers", []), *self.containers]

    def __repr__(self) -> str:
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def component(self) -> str:
        """Its part in the whole."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def lasting(self) -> bool:
        """Whether it is meant to run on and on."""
        return self.owner["kind"] in ("Deployment", "StatefulSet")

    @property
    def ports(self) -> dict[str, int]:
        """Ports by name."""
        return {port["name"]: port["containerPort"] for one in self.containers for port in one.get("ports", [])}


SECRETS = {"TASKYARD_POSTGRES_URL": "postgresql://h/", "TASKYARD_REDIS_URL": "redis://h/?client_name="}
"""How what comes from elsewhere begins, where it has to be a URL."""


def environment(container: Manifest) -> dict[str, str]:
    """The container's variables; what comes from elsewhere has a value that would do."""
    stand_ins = {"metadata.name": "pod-1", "spec.nodeName": "node-1"}
    variables: dict[str, str] = {}
    for entry in container.get("env", []):
        source = entry.get("valueFrom", {})
        field = source.get("fieldRef", {}).get("fieldPath", "")
        value = entry.get("value", stand_ins.get(field, f"{SECRETS.get(entry['name'], '')}{source}"))
        for name, known in variables.items():
            value = value.replace(f"$({name})", known)
        variables[entry["name"]] = value
    return variables
