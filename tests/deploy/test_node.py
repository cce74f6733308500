"""The node that tests run pods on does to them what a kubelet would, the worst included."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.deploy import python
from tests.deploy.chart import Manifest, Release
from tests.deploy.node import image, namespaces
from tests.deploy.node.cluster import Cluster, cluster
from tests.deploy.node.image import Image
from tests.deploy.node.pod import Pod, pause
from tests.deploy.node.probe import Tally
from tests.deploy.node.workload import share
from tests.e2e.eventually import eventually

SOON = 60.0
LASTING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('up', flush=True)
time.sleep(600)
"""
# The first process of a container gets no signal that it does not ask for.
STUBBORN = "import time; print('up', flush=True); time.sleep(600)"
SERVING = "from http.server import *; HTTPServer(('', 8080), SimpleHTTPRequestHandler).serve_forever()"
CURIOUS = """
import json, os, socket, urllib.request
def writable(path):
    try:
        open(path, 'a').close()
    except OSError:
        return False
    return True
print(json.dumps({
    'who': [os.getpid(), os.getuid(), os.getgid(), os.getgroups(), socket.gethostname()],
    'files': sorted(os.listdir('/')),
    'writable': [path for path in ('/new', '/usr/lib/new', '/etc/hosts', '/tmp/new') if writable(path)],
    'service': urllib.request.urlopen('http://web.jobs.svc', timeout=10).status,
    'pods': socket.gethostbyname_ex('all.jobs.svc')[2],
}))
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A node with two Services and an image that has Python only."""
    if reason := namespaces.obstacle() or image.obstacle():
        pytest.skip(reason)
    system = {**python.files(), **image.places(image.LIBRARIES)}
    images = {"any/python": Image(files=system, environment=image.BASE)}
    release = Release("")
    release.manifests = [service("web"), service("all", clusterIP="None")]
    async with cluster(release, images, tmp_path_factory.mktemp("node")) as made:
        yield made


def service(name: str, **options: str) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    spec = {"selector": {"app": "web"}, "ports": ports, **options}
    return {"kind": "Service", "metadata": {"name": name, "namespace": "jobs"}, "spec": spec}


def pod(name: str, program: str, *, grace: int = 2, **options: Any) -> Manifest:
    container = {
        "name": "main",
        "image": "here/any/python:1",
        "command": [str(python.PLACE), "-c", program],
        "securityContext": {},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": grace,
            "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
            "containers": [container | options],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "automountServiceAccountToken": False,
        },
    }


async def up(one: Pod) -> None:
    """Returns once the container has said so."""

    async def has_said() -> bool:
        return one.container is not None and "up" in one.log("main")

    await eventually(has_said, within=SOON)


async def test_who_ignores_the_signal_is_killed_when_the_grace_is_over(bare: Cluster) -> None:
    one = bare.run("stubborn", pod("stubborn", STUBBORN))
    await up(one)
    one.delete()
    await one.wait_over()
    (ending,) = one.endings
    assert (ending.reason, ending.killed) == ("deleted", True)
    assert ending.code != 0
    assert ending.seconds >= 2


async def test_who_obeys_ends_by_itself_after_its_hook(bare: Cluster) -> None:
    one = bare.run("obedient", pod("obedient", LASTING, grace=60, lifecycle={"preStop": {"sleep": {"seconds": 1}}}))
    await up(one)
    one.delete()
    await one.wait_over()
    (ending,) = one.endings
    assert (ending.reason, ending.killed, ending.code) == ("deleted", False, 7)
    assert ending.seconds >= 1
    assert ending.memory > 0


async def test_who_fails_or_is_not_live_is_started_again(bare: Cluster) -> None:
    probe = {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 2}
    failing = bare.run("failing", pod("failing", "raise SystemExit(3)"))
    hanging = bare.run("hanging", pod("hanging", LASTING, livenessProbe=probe))
    await bare.news.until(lambda: failing.restarts and hanging.restarts, within=SOON)
    assert (failing.endings[0].reason, failing.endings[0].code) == ("exited", 3)
    assert hanging.endings[0].reason == "unhealthy"
    for one in (failing, hanging):
        one.delete()
    await asyncio.gather(failing.wait_over(), hanging.wait_over())


async def test_a_container_sees_its_image_and_finds_who_is_ready(bare: Cluster) -> None:
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    port = {"name": "http", "containerPort": 8080}
    web = bare.run("web", pod("web", SERVING, workingDir="/tmp", ports=[port], readinessProbe=probe))
    await bare.news.until(lambda: web.ready, within=SOON)
    curious = pod("curious", CURIOUS)
    curious["spec"]["restartPolicy"] = "Never"
    await bare.services.settled()
    one = bare.run("curious", curious)
    await one.wait_over()
    assert one.phase == "Succeeded", one.log("main")
    assert json.loads(one.log("main")) == {
        "who": [1, 65532, 65532, [], "curious"],
        "files": ["bin", "dev", "etc", "lib", "lib64", "proc", "tmp", "usr"],
        "writable": ["/tmp/new"],
        "service": 200,
        "pods": [web.address],
    }
    web.delete()
    await web.wait_over()


def test_a_verdict_takes_as_many_answers_as_the_probe_says() -> None:
    tally = Tally({"failureThreshold": 2, "successThreshold": 3}, verdict=True)
    verdicts = []
    for answer in (False, True, False, False, True, True, False, True, True, True):
        tally.count(answer)
        verdicts.append(tally.verdict)
    assert verdicts == [True, True, True, False, False, False, False, False, False, True]


def test_pauses_grow_and_shares_are_whole() -> None:
    assert [pause(failures) for failures in (0, 1, 2, 9)] == [0, 10, 20, 300]
    assert [share("25%", 2, up=True), share("25%", 2, up=False), share(1, 9, up=True)] == [1, 0, 1]
