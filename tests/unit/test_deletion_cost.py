"""Worker pods are told apart by how much they run, with a Kubernetes API and a scheduler that only pretend."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from taskyard_server.deletion_cost import ANNOTATION, DeletionCost, api_address, changes


class Pretender(ThreadingHTTPServer):
    """Answers for Kubernetes and for a scheduler."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.pods: dict[str, dict[str, str]] = {"idle": {}, "busy": {ANNOTATION: "1"}, "same": {ANNOTATION: "2"}}
        self.running = {"busy": 7, "same": 2, "elsewhere": 9}
        self.patched: list[str] = []
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Request(BaseHTTPRequestHandler):
    server: Pretender

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/v1/workers"):
            workers = [{"pod": pod, "running": number} for pod, number in self.server.running.items()]
            # One a page, as where what they say of themselves is large.
            start = int(self.path.partition("page_token=")[2].removesuffix("%3D") or 0)
            more = f"{start + 1}=" if start + 1 < len(workers) else ""
            self.answer({"workers": workers[start : start + 1], "next_page_token": more})
        else:
            self.server.tokens.add(self.headers["Authorization"])
            pods = [{"metadata": {"name": name, "annotations": notes}} for name, notes in self.server.pods.items()]
            self.answer({"items": pods})

    def do_PATCH(self) -> None:
        name = self.path.rpartition("/")[2]
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        self.server.pods[name] |= patch["metadata"]["annotations"]
        self.server.patched.append(name)
        self.answer({})

    def answer(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def pretender() -> Iterator[Pretender]:
    server = Pretender()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cost(pretender: Pretender, tmp_path: Path) -> DeletionCost:
    (tmp_path / "namespace").write_text("jobs")
    (tmp_path / "token").write_text("secret\n")
    url = pretender.url
    return DeletionCost(api=url, scheduler=url, namespaces=["default"], selector="a=b,c=d", account=tmp_path)


def test_pods_cost_what_they_run() -> None:
    assert changes({"a": None, "b": "3", "c": "5", "d": "4"}, {"b": 3, "c": 1, "x": 8}) == {"c": "1", "d": "0"}


def test_only_what_changed_is_written(pretender: Pretender, cost: DeletionCost) -> None:
    assert cost.run_once() == {"busy": "7"}
    assert pretender.pods == {"idle": {}, "busy": {ANNOTATION: "7"}, "same": {ANNOTATION: "2"}}
    assert cost.run_once() == {}
    pretender.running = {}
    assert cost.run_once() == {"busy": "0", "same": "0"}
    assert "/api/v1/namespaces/jobs/pods?labelSelector=a%3Db%2Cc%3Dd" in pretender.asked
    assert "/v1/workers?namespace=default" in pretender.asked
    assert pretender.tokens == {"Bearer secret"}


def test_an_outage_is_waited_out(pretender: Pretender, cost: DeletionCost) -> None:
    stop = threading.Event()
    pretender.shutdown()
    pretender.server_close()
    tries: list[float] = []

    def wait(_seconds: float | None = None) -> bool:
        tries.append(1)
        if len(tries) == 3:
            stop.set()
        return stop.is_set()

    stop.wait = wait  # type: ignore[method-assign, assignment]
    cost.run(0.0, stop)
    assert len(tries) == 3


def test_the_api_is_where_kubernetes_says() -> None:
    assert (
        api_address({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}) == "https://10.0.0.1:443"
    )
    assert (
        api_address({"KUBERNETES_SERVICE_HOST": "fd::1", "KUBERNETES_SERVICE_PORT": "6443"}) == "https://[fd::1]:6443"
    )
