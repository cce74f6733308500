"""skaffold.yaml is what Skaffold takes, with every profile; and all that it names is there."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.images import live
from tests.deploy.chart import ROOT, VALUES
from tests.deploy.dockerfile import stages
from tests.deploy.skaffold import FILE, PROFILES, TAG, USES, apply, deployment, installed

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "skaffold.json").read_text())


@pytest.fixture(params=USES, ids=lambda names: "+".join(names) or "none")
def profiles(request: pytest.FixtureRequest) -> tuple[str, ...]:
    names: tuple[str, ...] = request.param
    return names


def test_every_profile_is_used() -> None:
    assert {name for names in USES for name in names} == PROFILES.keys()


def test_the_file_is_valid() -> None:
    jsonschema.validate(FILE, SCHEMA)


def test_it_is_valid_with_its_profiles(profiles: tuple[str, ...]) -> None:
    jsonschema.validate(deployment(*profiles).config, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"op": "add", "path": "/build/artefacts", "value": []},
        {"op": "replace", "path": "/build/artifacts/0/docker", "value": {"targets": "server"}},
        {"op": "replace", "path": "/deploy/statusCheckDeadlineSeconds", "value": "soon"},
    ],
)
def test_the_check_finds_mistakes(wrong: dict[str, Any]) -> None:
    config = json.loads(json.dumps(deployment().config))
    apply(config, wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, SCHEMA)


@pytest.mark.parametrize("path", ["/build/artifact/0", "/build/local/useBuildKit", "/build/artifacts/7"])
def test_patches_that_do_not_fit_are_found(path: str) -> None:
    with pytest.raises(LookupError):
        apply(deployment().config, {"op": "replace", "path": path, "value": 1})


def test_images_are_targets_of_the_dockerfile(profiles: tuple[str, ...]) -> None:
    for artifact in deployment(*profiles).config["build"]["artifacts"]:
        assert artifact["docker"]["target"] in stages()


def test_values_are_among_those_that_are_checked(profiles: tuple[str, ...]) -> None:
    for path in deployment(*profiles).release["valuesFiles"]:
        assert ROOT / path in VALUES


def test_every_pod_of_ours_runs_an_image_that_was_built(profiles: tuple[str, ...]) -> None:
    built = {f"docker.io/{image}:{TAG}" for image in deployment(*profiles).images}
    stores = {"docker.io/library/postgres", "docker.io/valkey/valkey", "quay.io/coreos/etcd"}
    run = {one["image"] for pod in installed(*profiles).pods() for one in pod.every_container}
    assert {image for image in run if image.rpartition(":")[0] not in stores} == built


def test_forwarded_ports_are_those_of_services(profiles: tuple[str, ...]) -> None:
    for forward in deployment(*profiles).config["portForward"]:
        service = installed(*profiles).named(forward["resourceType"].capitalize(), forward["resourceName"])
        assert forward["namespace"] == service["metadata"]["namespace"]
        assert forward["port"] in {port["port"] for port in service["spec"]["ports"]}


def entrypoint(target: str) -> list[str]:
    (line,) = [line for line in stages()[target] if line.startswith("ENTRYPOINT")]
    words: list[str] = json.loads(line.removeprefix("ENTRYPOINT"))
    return words


def test_a_change_of_any_package_is_put_where_it_is_run_from() -> None:
    for artifact in deployment("dev").config["build"]["artifacts"]:
        _, _, packages, _ = entrypoint(artifact["docker"]["target"])
        synced = set()
        for rule in artifact["sync"]["manual"]:
            assert rule["dest"] == str(live.LIVE)
            folder = ROOT / rule["src"].removesuffix("/**")
            assert (folder / "__init__.py").exists()
            synced.add(str(folder.relative_to(ROOT / rule.get("strip", ""))))
        assert synced == set(packages.split(","))
    assert any(line.startswith(f"ENV PYTHONPATH={live.LIVE}:") for line in stages()["live"])


def test_a_debugger_is_found_where_skaffold_looks_for_it() -> None:
    for artifact in deployment("debug").config["build"]["artifacts"]:
        target = artifact["docker"]["target"]
        python, *options = entrypoint(target)
        plain, *module = entrypoint(target.removesuffix("-debug"))
        assert python == plain
        assert options == ["-Xfrozen_modules=off", "-m", "debugpy", "--listen", "0.0.0.0:5678", *module]


def test_what_a_debugger_stops_is_left_alone() -> None:
    for pod in installed("debug").pods():
        if pod.lasting and pod.component in ("scheduler", "dispatcher", "worker"):
            probe = pod.containers[0]["livenessProbe"]
            assert probe["failureThreshold"] * probe["periodSeconds"] >= patience(), pod
            assert pod.owner["spec"]["replicas"] == 1


def patience() -> int:
    """Seconds that sessions and the leader's lease last."""
    config = installed("debug").named("ConfigMap", "taskyard")["data"]["taskyard.yaml"]
    settings: dict[str, int] = yaml.safe_load(config)
    assert settings["session_timeout"] == settings["leader_ttl"]
    return settings["leader_ttl"]
