"""Questions to the cluster over its own REST API: who leads, which workers are connected, who is ready."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from chaos.backends.cluster import Part, Role


class Health:
    """Asks the schedulers themselves, not through any link."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=3.0, trust_env=False)

    async def close(self) -> None:
        """Closes the client."""
        await self._http.aclose()

    async def leader(self, schedulers: Iterable[str]) -> str | None:
        """The pod name of the leading dispatcher, as the first scheduler that answers knows."""
        for url in schedulers:
            document = await self._get(f"{url}/v1/cluster")
            if document is not None:
                leader = document["leader"]
                return None if leader is None else str(leader["pod"])
        return None

    async def unready(self, servers: Sequence[Part]) -> list[str]:
        """Names of those servers that aren't ready."""
        urls = [server.addresses["rest" if server.role is Role.SCHEDULER else "http"] for server in servers]
        answers = await asyncio.gather(*(self._answers(f"{url}/readyz") for url in urls))
        return [server.name for server, ready in zip(servers, answers, strict=True) if not ready]

    async def unconnected(
        self, schedulers: Iterable[str], workers: Sequence[Part], namespaces: Iterable[str]
    ) -> list[str]:
        """Names of those workers whose present process has no session."""
        connected: set[int] = set()
        for namespace in namespaces:
            for url in schedulers:
                document = await self._get(f"{url}/v1/workers?namespace={namespace}")
                if document is not None:
                    connected |= {int(worker["pid"] or 0) for worker in document["workers"]}
                    break
        return [worker.name for worker in workers if worker.pid not in connected]

    async def _answers(self, url: str) -> bool:
        try:
            return (await self._http.get(url)).status_code == 200
        except httpx.HTTPError:
            return False

    async def _get(self, url: str) -> Any | None:
        try:
            answer = await self._http.get(url)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None
