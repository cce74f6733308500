"""What the chart renders is valid in the oldest Kubernetes that it supports, in a middle one and in the newest."""

import functools
import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import Manifest, Release

VERSIONS = ("1.30", "1.34", "1.37")
CUSTOM = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")}


@functools.cache
def complaint(text: str, version: str) -> str | None:
    """What is wrong with a manifest; unlisted fields are. Most manifests come in many renderings."""
    manifest: Manifest = json.loads(text)
    try:
        if "." in manifest["apiVersion"] and manifest["kind"].lower() in CUSTOM:
            jsonschema.validate(manifest, CUSTOM[manifest["kind"].lower()])
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}"
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(rendering: Release, version: str) -> None:
    complaints = [complaint(json.dumps(one, sort_keys=True), version) for one in rendering.manifests]
    assert [one for one in complaints if one] == []


def test_the_versions_are_the_ones_that_were_meant() -> None:
    # Of a version that it does not know, the validator takes the one before.
    known = {".".join(version.split(".")[:2]) for version in kubernetes_validate.utils.all_versions()}
    assert set(VERSIONS) <= known


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("apps/v1 Deployment", "spec: {replicas: three, selector: {}, template: {}}"),
        ("apps/v1 Deployment", "spec: {replica: 3, selector: {}, template: {}}"),
        ("keda.sh/v1alpha1 ScaledObject", "spec: {scaleTargetRef: {name: a, nome: b}, triggers: []}"),
        ("monitoring.coreos.com/v1 ServiceMonitor", "spec: {selector: {}, endpoints: [{prot: http}]}"),
        ("monitoring.coreos.com/v1 PodMonitor", "spec: {selector: {}, podMetricsEndpoints: [{prot: http}]}"),
        ("monitoring.coreos.com/v1 PrometheusRule", "spec: {groups: [{rules: []}]}"),
        ("nobody.knows/v1 This", "spec: {}"),
    ],
)
def test_the_check_finds_mistakes(kind: str, wrong: str) -> None:
    version, _, name = kind.partition(" ")
    manifest = {"apiVersion": version, "kind": name, "metadata": {"name": "wrong"}, **yaml.safe_load(wrong)}
    assert complaint(json.dumps(manifest), VERSIONS[-1])
