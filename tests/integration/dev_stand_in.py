"""Plays one role of a development cluster, and a supervisor of such players.

As `cluster DIR [--no-stores]` it supervises, with this file for the roles. Otherwise it is the role that it is
told. Workers are known by files in TEST_WORKERS; a scheduler lists them.
"""

import asyncio
import http.server
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from taskyard_server.dev.cluster import Cluster
from taskyard_server.dev.plan import ClusterOptions, RoleCommands


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        pages = {"/readyz": {}, "/v1/workers": {"workers": listed_workers()}}
        self.send_response(200 if self.path in pages else 404)
        self.end_headers()
        self.wfile.write(json.dumps(pages.get(self.path)).encode())


def listed_workers() -> list[dict[str, str]]:
    files = Path(os.environ["TEST_WORKERS"]).glob("worker-*")
    return [{"name": path.name, "pid": path.read_text()} for path in files]


def serve(address: str) -> None:
    host, _, port = address.rpartition(":")
    http.server.HTTPServer((host, int(port)), Pages).serve_forever()


def work() -> None:
    if "TEST_STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "TEST_CHILD" in os.environ:
        # A child of the worker's own, as a pool for CPU-bound work would be.
        subprocess.Popen(["sleep", "1000"])
    fresh = Path(os.environ["TEST_WORKERS"]) / f"fresh-{os.getpid()}"
    fresh.write_text(str(os.getpid()))
    fresh.replace(fresh.with_name(os.environ["TASKYARD_WORKER_NAME"]))
    signal.pause()


def supervise(directory: Path, flags: list[str]) -> None:
    command = {role: (sys.executable, __file__, role) for role in ("migrate", "scheduler", "dispatcher", "worker")}
    options = ClusterOptions(directory=directory, rest_port=0, grpc_port=0, session_port=0, dispatchers=2)
    if "--no-stores" in flags:
        options = replace(options, postgres_url="unused", redis_url="unused", etcd_endpoints="unused")
    cluster = Cluster(options, report=lambda line: print(line, flush=True), commands=RoleCommands(**command))
    asyncio.run(cluster.run())


def note_stop(number: int, frame: object) -> None:
    with (Path(os.environ["TEST_WORKERS"]) / "stopped").open("a") as file:
        file.write(os.environ["TASKYARD_POD_NAME"] + "\n")
    sys.exit(0)


def main(role: str, arguments: list[str]) -> None:
    if role != "cluster":
        signal.signal(signal.SIGTERM, note_stop)
    match role:
        case "cluster":
            supervise(Path(arguments[0]), arguments[1:])
        case "migrate":
            sys.exit(int(os.environ.get("TEST_MIGRATE_CODE", "0")))
        case "scheduler":
            serve(os.environ["TASKYARD_REST_ADDRESS"])
        case "dispatcher":
            serve(os.environ["TASKYARD_HTTP_ADDRESS"])
        case "worker":
            work()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
