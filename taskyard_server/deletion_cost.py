"""Tells Kubernetes how many tasks each worker's pod runs, so that scaling in takes idle pods first.

A Deployment that shrinks takes the pods whose annotation `controller.kubernetes.io/pod-deletion-cost` is lowest.
"""

import json
import logging
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = 5.0

_log = logging.getLogger(__name__)


def changes(costs: Mapping[str, str | None], running: Mapping[str, int]) -> dict[str, str]:
    """The costs to write, by pod: the tasks it runs, where that is not what it says. Pods without a worker run none."""
    wanted = {pod: str(running.get(pod, 0)) for pod in costs}
    return {pod: cost for pod, cost in wanted.items() if cost != (costs[pod] or "0")}


class DeletionCost:
    """Compares and writes, again and again. `api` is Kubernetes' address, `scheduler` a scheduler's REST address."""

    def __init__(self, *, api: str, scheduler: str, namespaces: list[str], selector: str, account: Path) -> None:
        self._pods = f"{api}/api/v1/namespaces/{(account / 'namespace').read_text().strip()}/pods"
        self._workers = [f"{scheduler}/v1/workers?namespace={quote(name)}" for name in namespaces]
        self._selector = quote(selector)
        self._token = account / "token"
        self._trust = ssl.create_default_context(cafile=account / "ca.crt") if api.startswith("https:") else None

    def run(self, interval: float, stop: threading.Event) -> None:
        """Until told to stop. Whoever does not answer is asked again next time; costs only advise."""
        while not stop.is_set():
            try:
                self.run_once()
            except OSError as error:
                _log.warning("deletion costs stay as they are: %s", error)
            stop.wait(interval)

    def run_once(self) -> dict[str, str]:
        """Write what changed, and return it. Raises OSError if somebody does not answer or refuses."""
        found = self._kubernetes(f"?labelSelector={self._selector}")["items"]
        costs = {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}).get(ANNOTATION) for pod in found}
        written = changes(costs, self._running())
        for pod, cost in written.items():
            self._kubernetes(f"/{pod}", {"metadata": {"annotations": {ANNOTATION: cost}}})
        return written

    def _running(self) -> dict[str, int]:
        running: dict[str, int] = {}
        for worker in chain.from_iterable(map(self._listed, self._workers)):
            running[worker["pod"]] = running.get(worker["pod"], 0) + worker["running"]
        return running

    def _listed(self, url: str) -> Iterator[dict[str, Any]]:
        next_page: str | None = url
        while next_page:
            with urlopen(next_page, timeout=_TIMEOUT) as answer:
                page = json.load(answer)
            yield from page["workers"]
            # An older scheduler has no pages.
            token = page.get("next_page_token")
            next_page = f"{url}&page_token={quote(token)}" if token else None

    def _kubernetes(self, path: str, patch: dict[str, Any] | None = None) -> Any:
        request = Request(self._pods + path, method="PATCH" if patch else "GET")
        # Kubernetes renews the token's file.
        request.add_header("Authorization", f"Bearer {self._token.read_text().strip()}")
        if patch:
            request.data = json.dumps(patch).encode()
            request.add_header("Content-Type", "application/merge-patch+json")
        with urlopen(request, timeout=_TIMEOUT, context=self._trust) as answer:
            return json.load(answer)


def api_address(environment: Mapping[str, str] = os.environ) -> str:
    """Where Kubernetes' API is, as it tells every pod; raises KeyError outside of one."""
    host = environment["KUBERNETES_SERVICE_HOST"]
    return f"https://{f'[{host}]' if ':' in host else host}:{environment['KUBERNETES_SERVICE_PORT']}"
