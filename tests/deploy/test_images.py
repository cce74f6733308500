"""What goes into the images, without Docker: the same script puts it together, and nobody's user runs it."""

import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.deploy.chart import ROOT
from tests.deploy.dockerfile import IMAGES, stages
from tests.deploy.python import PLACE, python

NOBODY = 65532
TAG = PLACE.name.replace("python", "cpython-").replace(".", "")
pytestmark = pytest.mark.timeout(900)  # putting the files together takes a while on a busy machine
STARTS_WITHIN, STOPS_WITHIN = 60.0, 45.0

Entry = dict[str, str]


class Run:
    """A process as the image would start it: nobody's, without a shell, with nothing else in its environment."""

    def __init__(self, files: Path, arguments: list[str], environment: Entry) -> None:
        self._files = files
        self._environment = {"PYTHONPATH": str(files / "packages"), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        self.process = self.start(arguments)

    def start(self, arguments: list[str]) -> subprocess.Popen[str]:
        user = NOBODY if os.geteuid() == 0 else None
        return subprocess.Popen(
            [str(python()), *arguments],
            user=user,
            group=user,
            cwd="/",
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def healthy(self) -> bool:
        """What the image's health check says."""
        check = self.start([str(self._files / "healthcheck.py")])
        check.communicate(timeout=30)
        return check.returncode == 0

    def wait_healthy(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.healthy():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def addresses(*names: str) -> Entry:
    return {f"TASKYARD_{name}_ADDRESS": f"127.0.0.1:{free_port()}" for name in names}


@pytest.mark.parametrize(
    ("image", "arguments", "ports"),
    [
        ("server", "-m taskyard_server scheduler", ["REST", "GRPC"]),
        ("server", "-m taskyard_server dispatcher", ["HTTP", "SESSION"]),
        ("worker", "-m taskyard.cli worker run taskyard.demo:worker", ["WORKER_HTTP"]),
    ],
    ids=["scheduler", "dispatcher", "worker"],
)
def test_it_starts_is_healthy_and_stops(assembled: Path, image: str, arguments: str, ports: list[str]) -> None:
    # Stores and dispatchers are away: processes start and live all the same.
    nowhere = f"127.0.0.1:{free_port()}"
    stores = {
        "TASKYARD_POSTGRES_URL": f"postgresql://taskyard@{nowhere}/taskyard",
        "TASKYARD_REDIS_URL": f"redis://{nowhere}/0",
        "TASKYARD_ETCD_ENDPOINTS": nowhere,
        "TASKYARD_DISPATCHERS": nowhere,
    }
    run = Run(assembled / image, arguments.split(), stores | addresses(*ports))
    try:
        run.wait_healthy()
        run.process.send_signal(signal.SIGTERM)
        said, _ = run.process.communicate(timeout=STOPS_WITHIN)
        assert run.process.returncode == 0, said
        assert not run.healthy()
    finally:
        run.process.kill()


def test_the_schema_is_in_the_image(assembled: Path) -> None:
    run = Run(assembled / "server", ["-m", "taskyard_server", "migrate", "--help"], {})
    said, _ = run.process.communicate(timeout=60)
    assert run.process.returncode == 0, said
    packages = assembled / "server" / "packages"
    for pattern in ("taskyard_core/**/*.sql", "taskyard_core/**/*.lua"):
        inside = {path.relative_to(packages) for path in packages.glob(pattern)}
        assert inside == {path.relative_to(ROOT) for path in ROOT.glob(pattern)} != set()


@pytest.mark.parametrize("image", ["server", "worker"])
def test_only_what_belongs_there_is_there(assembled: Path, image: str) -> None:
    packages = assembled / image / "packages"
    distributions = {path.name.split("-")[0].lower() for path in packages.glob("*.dist-info")}
    names = re.findall(r"^([\w.-]+)==", (IMAGES / f"{image}.txt").read_text(), re.MULTILINE)
    own = {"server": "taskyard_server", "worker": "taskyard"}[image]
    assert distributions <= {re.sub(r"[-.]+", "_", name).lower() for name in names} | {own}
    assert own in distributions
    assert not {"tests", "chaos", "bench", "bin", "pip", "setuptools"} & {path.name for path in packages.iterdir()}


@pytest.mark.parametrize("image", ["server", "worker"])
def test_nothing_needs_to_be_written(assembled: Path, image: str) -> None:
    packages = assembled / image / "packages"
    for path in packages.rglob("*"):
        assert not path.stat().st_mode & 0o022 or path.is_symlink(), path
    for name in {
        "server": ("taskyard_core", "taskyard_scheduler", "taskyard_dispatcher", "taskyard_server"),
        "worker": ("taskyard",),
    }[image]:
        for source in (packages / name).rglob("*.py"):
            assert (source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc").exists(), source


@pytest.mark.parametrize("name", ["server", "worker", "build", "chaos", "debugger"])
def test_images_install_what_the_lock_says(name: str) -> None:
    entry = re.compile(r"^([\w.-]+==\S+)[^\n]*\\\n((?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE)
    hashes = {
        pin: set(re.findall(r"sha256:\w+", text)) for pin, text in entry.findall((IMAGES / f"{name}.txt").read_text())
    }
    locked = (ROOT / "requirements" / "lock.txt").read_text()
    everything = {pin: set(re.findall(r"sha256:\w+", text)) for pin, text in entry.findall(locked)}
    assert hashes
    for pin, wanted in hashes.items():
        assert wanted == everything[pin], f"{pin}: run `make lock`"


def test_final_stages_run_nothing_and_are_nobodys() -> None:
    found = stages()
    assert any(line.startswith("USER 65532") for line in found["base"])
    for name in ("base", "server", "worker"):
        lines = found[name]
        assert not any(line.startswith(("RUN", "SHELL")) for line in lines), name
        for line in lines:
            if line.startswith(("ENTRYPOINT", "CMD", "HEALTHCHECK")):
                assert "[" in line, f"{line}: a shell would be needed"


def test_what_the_dockerfile_copies_is_there_and_let_through() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (line for stage in stages().values() for line in stage):
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert source in admitted, source


def test_a_stalled_process_is_not_healthy(tmp_path: Path) -> None:
    class Stalled(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stalled) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        unused = addresses("REST", "HTTP")
        environment = unused | {"TASKYARD_WORKER_HTTP_ADDRESS": f"0.0.0.0:{server.server_address[1]}"}
        answer = subprocess.run([sys.executable, IMAGES / "healthcheck.py"], env=environment, check=False)
    assert answer.returncode == 1
