"""What every pod and object must be, whatever the values."""

import re
from typing import Any

from taskyard_core.telemetry.health import LIVENESS
from tests.deploy.chart import Manifest, Pod, Release

SERVERS = {"scheduler", "dispatcher"}
OURS = SERVERS | {"worker", "migration", "test", "deletion-cost"}


def test_pods_meet_the_restricted_standard(rendering: Release) -> None:
    for pod in rendering.pods():
        context = pod.spec["securityContext"]
        assert context["runAsNonRoot"] is True, pod
        assert context["runAsUser"] > 0, pod
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod
        for one in pod.every_container:
            assert one["securityContext"]["allowPrivilegeEscalation"] is False, pod
            assert one["securityContext"]["readOnlyRootFilesystem"] is True, pod
            assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}, pod
            assert all("hostPort" not in port for port in one.get("ports", [])), pod
        allowed = {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}
        assert all(volume.keys() - {"name"} <= allowed for volume in pod.spec["volumes"]), pod


def test_only_who_talks_to_kubernetes_has_a_token(rendering: Release) -> None:
    for pod in rendering.pods():
        assert pod.spec["automountServiceAccountToken"] is (pod.component == "deletion-cost"), pod
        assert pod.spec["enableServiceLinks"] is False, pod
    assert all(account["automountServiceAccountToken"] is False for account in rendering.of("ServiceAccount"))
    for role in rendering.of("Role", "ClusterRole"):
        assert role["kind"] == "Role"
        assert all("*" not in rule[part] for rule in role["rules"] for part in ("verbs", "resources", "apiGroups"))


def test_every_container_has_requests_and_limits(rendering: Release) -> None:
    for pod in rendering.pods():
        for one in pod.every_container:
            for part in ("requests", "limits"):
                assert {"cpu", "memory"} <= one["resources"][part].keys(), (pod, one["name"])


def test_images_are_pinned(rendering: Release) -> None:
    for pod in rendering.pods():
        for one in pod.every_container:
            assert re.fullmatch(r"[\w.:-]+(/[\w.-]+)+(:(?!latest)[\w.-]+|@sha256:[0-9a-f]{64})", one["image"]), pod


def test_everything_that_lasts_is_probed(rendering: Release) -> None:
    for pod in rendering.pods():
        if pod.lasting and pod.component != "deletion-cost":
            for one in pod.containers:
                assert {"livenessProbe", "readinessProbe"} <= one.keys(), (pod, one["name"])


def test_liveness_asks_no_store(rendering: Release) -> None:
    for pod in rendering.pods():
        probes = [one[kind] for one in pod.containers for kind in ("livenessProbe", "startupProbe") if kind in one]
        if pod.component in SERVERS:
            assert all(probe["grpc"]["service"] == LIVENESS for probe in probes), pod
        if pod.component == "worker":
            assert all(probe["httpGet"]["path"] == "/livez" for probe in probes), pod


def test_probes_use_ports_that_are_there(rendering: Release) -> None:
    for pod in rendering.pods():
        for probe in (one[kind] for one in pod.containers for kind in one if kind.endswith("Probe")):
            if "exec" not in probe:
                (way,) = (probe[kind] for kind in ("grpc", "httpGet", "tcpSocket") if kind in probe)
                assert way["port"] in {*pod.ports, *pod.ports.values()}, pod


def test_pods_get_longer_to_stop_than_they_need(rendering: Release) -> None:
    for pod in rendering.pods():
        if pod.lasting and pod.component in SERVERS:
            (one,) = pod.containers
            drain = float(next(entry["value"] for entry in one["env"] if entry["name"] == "TASKYARD_DRAIN_TIMEOUT"))
            assert pod.spec["terminationGracePeriodSeconds"] >= before_stop(one) + drain + 10, pod
        if pod.lasting and pod.component == "worker":
            # The SDK's default: 25 s for tasks, then a few to hand them back.
            assert pod.spec["terminationGracePeriodSeconds"] >= before_stop(pod.containers[0]) + 25 + 10, pod


def before_stop(container: Manifest) -> int:
    """Seconds before SIGTERM; a hook that needs a shell is not allowed."""
    hook = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
    seconds: int = hook["sleep"]["seconds"]
    return seconds


def test_no_rollout_takes_a_server_away_before_its_successor_is_ready(rendering: Release) -> None:
    for one in rendering.of("Deployment"):
        if not one["metadata"]["name"].endswith("-deletion-cost"):
            assert one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_services_lead_to_named_ports_of_one_kind_of_pod(rendering: Release) -> None:
    for service in rendering.of("Service"):
        (pod,) = rendering.selected(service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert port["name"], service
            assert port["targetPort"] in pod.ports, service
            assert port["port"] == pod.ports[port["targetPort"]], service


def test_workers_find_dispatchers_by_a_headless_service(rendering: Release) -> None:
    for pod in rendering.pods():
        if pod.component == "worker":
            variables = {entry["name"]: entry.get("value") for entry in pod.containers[0]["env"]}
            name, namespace, *_ = variables["TASKYARD_DISPATCHERS"].split(".")
            if rendering.of("Service") and namespace == "jobs":
                service = rendering.named("Service", name)
                assert service["spec"]["clusterIP"] == "None"
                assert not service["spec"].get("publishNotReadyAddresses")


def test_selectors_find_somebody(rendering: Release) -> None:
    for one in rendering.of("Deployment", "StatefulSet", "PodDisruptionBudget"):
        assert rendering.selected(one["spec"]["selector"]["matchLabels"]), one["metadata"]
    for policy in rendering.of("NetworkPolicy"):
        pods = rendering.selected(policy["spec"]["podSelector"]["matchLabels"])
        assert pods, policy["metadata"]
        opened = {port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]}
        assert all(opened <= pod.ports.keys() for pod in pods), policy["metadata"]
    for pod in rendering.pods():
        for constraint in pod.spec.get("topologySpreadConstraints", []):
            found = rendering.selected(constraint["labelSelector"]["matchLabels"])
            assert [repr(one) for one in found] == [repr(pod)]


def test_monitors_find_ports(rendering: Release) -> None:
    for monitor in rendering.of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        services = [one for one in rendering.of("Service") if wanted.items() <= one["metadata"]["labels"].items()]
        assert len(services) == 2
        for service in services:
            assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    for monitor in rendering.of("PodMonitor"):
        pods = rendering.selected(monitor["spec"]["selector"]["matchLabels"])
        assert pods
        assert all(monitor["spec"]["podMetricsEndpoints"][0]["port"] in pod.ports for pod in pods)


def test_every_server_with_stores_in_the_chart_may_reach_them(rendering: Release) -> None:
    for policy in rendering.of("NetworkPolicy"):
        component = policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        if component in ("postgres", "redis", "etcd"):
            sources = policy["spec"]["ingress"][0]["from"]
            admitted = {source["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for source in sources}
            assert admitted == SERVERS


def test_what_scales_exists(rendering: Release) -> None:
    for one in rendering.of("HorizontalPodAutoscaler", "ScaledObject"):
        rendering.named("Deployment", one["spec"]["scaleTargetRef"]["name"])


def test_mounts_and_volumes_belong_together(rendering: Release) -> None:
    for pod in rendering.pods():
        claims = {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in pod.spec["volumes"]} | claims
        mounted = {mount["name"] for one in pod.every_container for mount in one["volumeMounts"]}
        assert mounted == volumes, pod


def test_what_pods_read_is_there_or_the_operators(rendering: Release) -> None:
    made = {(one["kind"], one["metadata"]["name"]) for one in rendering.of("Secret", "ConfigMap")}
    for pod in rendering.pods():
        for kind, name in references(pod):
            if name.startswith("taskyard-stores") or kind == "ConfigMap":
                assert (kind, name) in made, pod


def references(pod: Pod) -> list[tuple[str, str]]:
    """Secrets and ConfigMaps that a pod needs to start."""
    found: list[tuple[str, str]] = []
    for one in pod.every_container:
        for entry in one.get("env", []):
            source: dict[str, Any] = entry.get("valueFrom", {})
            if "secretKeyRef" in source:
                found.append(("Secret", source["secretKeyRef"]["name"]))
    for volume in pod.spec["volumes"]:
        if "secret" in volume:
            found.append(("Secret", volume["secret"]["secretName"]))
        if "configMap" in volume:
            found.append(("ConfigMap", volume["configMap"]["name"]))
    return found


def test_hooks_need_nothing_that_is_installed_after_them(rendering: Release) -> None:
    hooks = [one for one in rendering.manifests if "pre-install" in str(one["metadata"].get("annotations", {}))]
    names = {(one["kind"], one["metadata"]["name"]) for one in hooks}
    later = {(one["kind"], one["metadata"]["name"]) for one in rendering.manifests} - names
    for one in hooks:
        if one["kind"] == "Job":
            pod = Pod(one, one["spec"]["template"])
            assert not later & set(references(pod)), pod
            assert pod.spec["serviceAccountName"] == "default"


def test_the_schema_is_migrated_in_one_way(rendering: Release) -> None:
    servers = [pod for pod in rendering.pods() if pod.component in SERVERS]
    jobs = rendering.of("Job")
    for pod in servers:
        assert bool(pod.spec.get("initContainers")) != bool(jobs), pod


def test_ingresses_lead_to_services(rendering: Release) -> None:
    for ingress in rendering.of("Ingress"):
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            backend = path["backend"]["service"]
            ports = rendering.named("Service", backend["name"])["spec"]["ports"]
            assert backend["port"]["name"] in {port["name"] for port in ports}
