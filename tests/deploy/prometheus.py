"""A real Prometheus that scrapes what a test starts."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from taskyard_server.dev.port import LOOPBACK, free_port
from tests.deploy.chart import TOOLS
from tests.e2e.eventually import eventually

PROGRAMS = TOOLS / "prometheus" / "usr" / "bin"
READY = 60.0


def promtool(*arguments: str | Path) -> None:
    """Runs promtool; AssertionError with what it says unless it is content."""
    command = [str(PROGRAMS / "promtool"), *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


class Prometheus:
    """What one has to say."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def query(self, expression: str) -> list[Any]:
        """The series of an expression now."""
        answer = await self._http.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        found: list[Any] = answer.json()["data"]["result"]
        return found

    async def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        series = await self.query('ALERTS{alertstate="firing"}')
        return {one["metric"]["alertname"] for one in series}


def _configure(directory: Path, targets: Mapping[str, list[str]], rules: list[dict[str, Any]]) -> None:
    directory.mkdir()
    (directory / "rules.yaml").write_text(yaml.safe_dump({"groups": rules}))
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": hosts}]} for job, hosts in targets.items()],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))


@asynccontextmanager
async def prometheus(
    directory: Path, targets: Mapping[str, list[str]], rules: list[dict[str, Any]]
) -> AsyncIterator[Prometheus]:
    """Scrapes each job's host:port every second and evaluates the rules as often."""
    _configure(directory, targets, rules)
    address = f"{LOOPBACK}:{free_port()}"
    command = (
        str(PROGRAMS / "prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
    )
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as http:

            async def ready() -> bool:
                assert process.returncode is None, (directory / "log").read_text()
                try:
                    return (await http.get("/-/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, within=READY)
            yield Prometheus(http)
    finally:
        process.terminate()
        await process.wait()
