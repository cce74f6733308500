"""As much of Kubernetes' API as pods of the chart are allowed: they list pods, and annotate them."""

import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.deploy.node.certificate import self_signed

PORT = 6443


class Annotated(Protocol):
    """What it knows of a pod."""

    name: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def deleted(self) -> bool:
        """Whether it has to go."""


class Api:
    """Serves over TLS; who has no token is refused."""

    def __init__(self, address: str, namespace: str, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._address = address
        self._certificate = self_signed(directory, address)
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.variables = {"KUBERNETES_SERVICE_HOST": address, "KUBERNETES_SERVICE_PORT": str(PORT)}
        """What every container is told."""
        self.account = {
            "namespace": namespace,
            "token": secrets.token_hex(16),
            "ca.crt": self._certificate.certificate.read_text(),
        }
        """Files for pods that get a token."""

    @contextmanager
    def serving(self, pods: Callable[[], Sequence[Annotated]]) -> Iterator[None]:
        """Inside, it answers."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        with _Server((self._address, PORT), self, pods) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], api: Api, pods: Callable[[], Sequence[Annotated]]) -> None:
        super().__init__(address, _Request)
        self.api = api
        self._pods = pods

    def selected(self, wanted: str) -> list[Annotated]:
        """Pods with the labels of a query."""
        labels = dict(pair.split("=", 1) for pair in wanted.split(",") if pair)
        return [pod for pod in self._pods() if not pod.deleted and labels.items() <= pod.labels.items()]


class _Request(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """List pods."""
        url = urlsplit(self.path)
        if self._admitted(url.path == self.server.api.path):
            found = self.server.selected("".join(parse_qs(url.query).get("labelSelector", [])))
            items = [{"metadata": {"name": pod.name, "annotations": pod.annotations}} for pod in found]
            self._answer(200, {"kind": "PodList", "items": items})

    def do_PATCH(self) -> None:
        """Annotate a pod."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pods = {f"{self.server.api.path}/{pod.name}": pod for pod in self.server.selected("")}
        if self._admitted(self.path in pods and self.headers["Content-Type"] == "application/merge-patch+json"):
            pods[self.path].annotations |= body["metadata"]["annotations"]
            self._answer(200, {"kind": "Pod"})

    def _admitted(self, known: bool) -> bool:
        if self.headers["Authorization"] != f"Bearer {self.server.api.account['token']}":
            self._answer(401, {"kind": "Status"})
        elif not known:
            self._answer(404, {"kind": "Status"})
        else:
            return True
        return False

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Requests come every few seconds; nobody wants to read of them."""
