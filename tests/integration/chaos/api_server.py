"""A small Kubernetes API server: pods that come back when they are deleted, custom resources, metrics; real HTTP."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse

Json = dict[str, Any]
NAMESPACE = "taskyard"
NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


class ApiServer:
    """What there is, and what was asked for. Deployments replace a deleted pod by one of another name."""

    def __init__(self, *, mesh: bool = True) -> None:
        self.url = ""
        self.pods: dict[str, Json] = {}
        self.deletions: list[tuple[str, int | None]] = []
        self.experiments: dict[str, Json] = {}
        self.ended: list[str] = []
        self.leaderless = False
        self._mesh = mesh
        self._numbers = itertools.count(1)
        for component, count in (("scheduler", 2), ("dispatcher", 2), ("worker", 2), ("postgres", 1), ("redis", 1)):
            for _ in range(count):
                self.add_pod(component)

    def add_pod(self, component: str, application: str = "taskyard") -> str:
        name = f"{component}-{next(self._numbers)}"
        labels = {"app.kubernetes.io/name": application, "app.kubernetes.io/component": component}
        ready = {"type": "Ready", "status": "True"}
        self.pods[name] = {
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "status": {"podIP": "10.0.0.1", "conditions": [ready]},
        }
        return name

    def names(self, component: str) -> list[str]:
        return [name for name in self.pods if name.startswith(f"{component}-")]

    def set_ready(self, name: str, ready: bool) -> None:
        self.pods[name]["status"]["conditions"][0]["status"] = str(ready)

    def app(self) -> FastAPI:
        app = FastAPI()
        app.get("/api/v1/namespaces/taskyard/pods")(self._list_pods)
        app.delete("/api/v1/namespaces/taskyard/pods/{name}")(self._delete_pod)
        app.get("/apis/metrics.k8s.io/v1beta1/namespaces/taskyard/pods")(self._list_metrics)
        if self._mesh:
            app.post("/apis/chaos-mesh.org/v1alpha1/namespaces/taskyard/{plural}")(self._create_experiment)
            app.delete("/apis/chaos-mesh.org/v1alpha1/namespaces/taskyard/{plural}/{name}")(self._delete_experiment)
        app.get("/v1/cluster")(self._cluster)
        # What the real one says to an API group that nobody installed.
        app.exception_handler(404)(lambda *_: PlainTextResponse("404 page not found\n", 404))
        return app

    async def _list_pods(self, labelSelector: str) -> Json:  # noqa: N803
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._selected(labelSelector)}

    def _selected(self, selector: str) -> list[Json]:
        assert selector.startswith("app.kubernetes.io/name=taskyard,app.kubernetes.io/component in (")
        components = selector.split(" in (")[1].rstrip(")").split(",")
        labels = [(pod, pod["metadata"]["labels"]) for pod in self.pods.values()]
        return [
            pod
            for pod, its in labels
            if its["app.kubernetes.io/name"] == "taskyard" and its["app.kubernetes.io/component"] in components
        ]

    async def _delete_pod(self, name: str, gracePeriodSeconds: int | None = None) -> JSONResponse:  # noqa: N803
        if name not in self.pods:
            return JSONResponse(NOT_FOUND, 404)
        self.deletions.append((name, gracePeriodSeconds))
        labels = self.pods.pop(name)["metadata"]["labels"]
        self.add_pod(labels["app.kubernetes.io/component"])
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def _list_metrics(self, labelSelector: str) -> Json:  # noqa: N803
        items = [
            {"metadata": pod["metadata"], "containers": [{"name": "main", "usage": {"memory": "64Mi", "cpu": "5m"}}]}
            for pod in self._selected(labelSelector)
        ]
        return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}

    async def _create_experiment(self, plural: str, request: Request) -> Json:
        body: Json = await request.json()
        assert body["kind"].lower() == plural
        self.experiments[body["metadata"]["name"]] = body
        return body

    async def _delete_experiment(self, plural: str, name: str) -> JSONResponse:
        if self.experiments.pop(name, None) is None:
            return JSONResponse(NOT_FOUND, 404)
        self.ended.append(name)
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def _cluster(self) -> Json:
        """The REST API of a scheduler."""
        leader = None if self.leaderless else {"id": "x", "term": 1, "pid": 1, "pod": self.names("dispatcher")[0]}
        return {"version": "0", "leader": leader, "dispatchers": []}


@contextmanager
def serving(server: ApiServer) -> Iterator[ApiServer]:
    """Inside, `server.url` answers, from a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(server.app(), log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not runner.started:
            time.sleep(0.01)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield server
    finally:
        runner.should_exit = True
        thread.join()
        listener.close()
