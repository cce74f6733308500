"""What images are made of: one Python, of a Debian that gets fixes, and pinned by what a registry of this test says."""

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.images import bases, lock
from tests.deploy.chart import ROOT
from tests.deploy.dockerfile import IMAGES, stages
from tests.deploy.python import PLACE

INDEX = b'{"schemaVersion":2,"manifests":[]}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
OLD = "sha256:" + "0" * 64


@dataclass
class Registry:
    """Answers as Docker Hub does: whoever has no token is sent to fetch one."""

    port: int = 0
    digest: str = DIGEST
    kind: str = bases.INDEXES[0]
    absent: str = "none"
    asked: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        if handler.path.startswith("/token?service=here&scope="):
            return self.send(handler, 200, b'{"token": "anybody"}', {})
        if handler.headers["Authorization"] != "Bearer anybody":
            realm = f'Bearer realm="http://127.0.0.1:{self.port}/token",service="here",scope="repository:any:pull"'
            return self.send(handler, 401, b"", {"WWW-Authenticate": realm})
        if self.absent in handler.path:
            return self.send(handler, 404, b"", {})
        return self.send(handler, 200, INDEX, {"Content-Type": self.kind, "Docker-Content-Digest": self.digest})

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def dockerfile(registry: Registry, tmp_path: Path) -> Path:
    """Of two bases; one has been pinned before."""
    here = f"127.0.0.1:{registry.port}"
    path = tmp_path / "Dockerfile"
    path.write_text(
        f"# Made of:\nARG BUILD={here}/library/python:3.13-slim-trixie\n"
        f"ARG RUNTIME={here}/distroless/python3:nonroot@{OLD}\nARG LATER\nFROM ${{BUILD}} AS assembly\n"
    )
    return path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, IMAGES / "bases.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_base_gets_the_digest_of_its_tag(registry: Registry, dockerfile: Path) -> None:
    before = dockerfile.read_text()
    assert (run(dockerfile).returncode, run("--check", dockerfile).returncode) == (0, 0)
    assert dockerfile.read_text() == before.replace(f"@{OLD}", "").replace("trixie", f"trixie@{DIGEST}").replace(
        "nonroot", f"nonroot@{DIGEST}"
    )
    manifests = [path for path in registry.asked if path.startswith("/v2/")]
    assert set(manifests) == {
        "/v2/library/python/manifests/3.13-slim-trixie",
        "/v2/distroless/python3/manifests/nonroot",
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"digest": "sha512:" + "0" * 128}, "the registry says sha512:000"),
        ({"digest": OLD}, f"the registry says {OLD}, and sent {DIGEST}"),
        ({"kind": "application/vnd.oci.image.manifest.v1+json"}, "not an image for several platforms"),
        ({"kind": "text/html; charset=utf-8"}, "text/html is not an image"),
        ({"absent": "nonroot"}, "404"),
    ],
    ids=["hash", "digest", "platform", "page", "absent"],
)
def test_what_is_no_digest_changes_nothing(
    registry: Registry, dockerfile: Path, wrong: dict[str, str], said: str
) -> None:
    before = dockerfile.read_text()
    vars(registry).update(wrong)
    answer = run(dockerfile)
    assert (answer.returncode, dockerfile.read_text()) == (1, before)
    assert said in answer.stderr
    assert "Nothing was changed." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_registry_that_is_away_changes_nothing(dockerfile: Path, registry: Registry) -> None:
    before = dockerfile.read_text().replace(str(registry.port), "1")
    dockerfile.write_text(before)
    answer = run(dockerfile)
    assert (answer.returncode, dockerfile.read_text()) == (1, before)
    assert re.fullmatch(r"127\.0\.0\.1:1/\S+: .+ Nothing was changed\.\n", answer.stderr)


def test_a_release_has_to_be_pinned(dockerfile: Path, registry: Registry) -> None:
    answer = run("--check", dockerfile)
    assert answer.returncode == 1
    image = f"127.0.0.1:{registry.port}/library/python:3.13-slim-trixie"
    assert answer.stderr == f"ARG BUILD: {image} is not pinned by a digest: run `make image-bases`\n"
    dockerfile.write_text(dockerfile.read_text().replace("trixie", "trixie@sha256:beef"))
    assert run("--check", dockerfile).returncode == 1
    assert registry.asked == []


def test_registries_are_found_as_docker_finds_them() -> None:
    hub, google = "https://registry-1.docker.io/v2", "https://gcr.io/v2"
    assert bases.manifest("python:3.13") == f"{hub}/library/python/manifests/3.13"
    assert bases.manifest("valkey/valkey:9.0") == f"{hub}/valkey/valkey/manifests/9.0"
    assert bases.manifest("gcr.io/distroless/any:nonroot") == f"{google}/distroless/any/manifests/nonroot"
    assert bases.manifest("localhost:5000/any:1") == "http://localhost:5000/v2/any/manifests/1"
    with pytest.raises(bases.Refused):
        bases.manifest("localhost:5000/any")


def test_nothing_is_made_of_anything_else() -> None:
    text = (ROOT / "Dockerfile").read_text()
    found = {base["name"].removeprefix("ARG "): base["image"] for base in bases.BASE.finditer(text)}
    made_of = {line.split()[1] for line in text.splitlines() if line.startswith("FROM ")} - stages().keys()
    assert made_of == {f"${{{name}}}" for name in found}
    assert "syntax=" not in text, "an image of its own, which no digest pins"
    for base in bases.BASE.finditer(text):
        assert base["digest"] is None or bases.DIGEST.fullmatch(base["digest"])


def test_all_images_have_one_python() -> None:
    version = PLACE.name.removeprefix("python")
    text = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"/usr/bin/python([\d.]*)", text)) == {version}
    build, runtime = (base["image"] for base in bases.BASE.finditer(text))
    assert (build, runtime) == (f"python:{version}-slim-trixie", "gcr.io/distroless/python3-debian13:nonroot")
    assert lock.TARGET[1].startswith(f"{version}.")
    compose = (ROOT / "deploy" / "compose" / "compose.yaml").read_text()
    assert set(re.findall(r"/usr/bin/python([\d.]*)", compose)) == {version}


@pytest.mark.parametrize(
    "text", ["ARG BUILD=python:3.13 \nFROM ${BUILD}\n", "FROM busybox:1\n", "ARG A=a:1@sha256:0\nFROM ${B} AS x\n"]
)
def test_what_is_not_made_of_a_known_base_is_no_release(text: str) -> None:
    assert "neither a stage nor an image" in bases.unpinned(text)[0]
