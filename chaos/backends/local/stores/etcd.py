"""etcd: a cluster of three members that reach each other through proxies."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from chaos.backends.cluster import Role, Unsupported
from chaos.backends.local.member import Member
from chaos.backends.local.place import Place
from chaos.backends.local.process import Command
from chaos.backends.local.program import tool

# Three members, the other stores and the load share few cores and one disk.
HEARTBEAT_MILLISECONDS = 200
ELECTION_MILLISECONDS = 2000
QUOTA_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Addresses:
    """host:port of a member: for clients, for the other members, and the proxied one that these call instead."""

    client: str
    peer: str
    advertised_peer: str


class Etcd:
    """The members by name."""

    def __init__(self, places: Mapping[str, Place], logs: Path, addresses: Mapping[str, Addresses]) -> None:
        self._places = places
        self._logs = logs
        self._addresses = addresses
        self._http = httpx.AsyncClient(timeout=5.0, trust_env=False)
        self.members = {name: self._member(name) for name in places}
        self._unwanted: set[str] = set()  # whose data is not to be found by the next start

    async def start(self) -> None:
        """Starts all."""
        for member in self.members.values():
            await member.start()

    async def close(self) -> None:
        """Closes the client."""
        await self._http.aclose()

    async def in_step(self) -> bool:
        """Whether every member has a leader and can commit."""
        return all([await self.is_healthy(name) for name in self.members])

    async def is_healthy(self, name: str) -> bool:
        """Whether a member has a leader and can commit."""
        try:
            answer = await self._http.get(f"http://{self._addresses[name].client}/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def leader(self) -> str | None:
        """The member that leads, as far as any member that answers knows."""
        for name, status in (await self._statuses()).items():
            if status["header"]["member_id"] == status.get("leader"):
                return name
        return None

    async def move_leader(self) -> str:
        """Makes the member after the leader the leader, and returns its name."""
        statuses = await self._statuses()
        leader = await self.leader()
        others = [name for name in statuses if name != leader]
        if leader is None or not others:
            raise Unsupported("etcd has no leader, or nobody to hand leadership to")
        target = next((name for name in others if name > leader), others[0])
        await self._call(leader, "maintenance/transfer-leadership", targetID=statuses[target]["header"]["member_id"])
        return target

    async def compact(self) -> None:
        """Forgets all revisions but the newest."""
        name, status = next(iter((await self._statuses()).items()))
        await self._call(name, "kv/compaction", revision=status["header"]["revision"], physical=True)

    async def set_full(self, full: bool) -> None:
        """Raises or disarms the alarm NOSPACE at every member."""
        for status in (await self._statuses()).values():
            member = status["header"]["member_id"]
            action = "ACTIVATE" if full else "DEACTIVATE"
            await self._call_any("maintenance/alarm", action=action, memberID=member, alarm="NOSPACE")

    async def replace(self) -> None:
        """Kills every member; they start again without their data."""
        for member in self.members.values():
            member.hold()
        for member in self.members.values():
            await member.end()
        self._unwanted |= set(self.members)
        for member in self.members.values():
            member.release()

    async def _call_any(self, method: str, **body: Any) -> Any:
        """Of a member that answers."""
        return await self._call(next(iter(await self._statuses())), method, **body)

    async def _statuses(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in self.members:
            try:
                found[name] = await self._call(name, "maintenance/status")
            except httpx.HTTPError:
                continue  # away, frozen or cut off; the others know
        return found

    async def _call(self, name: str, method: str, **body: Any) -> Any:
        answer = await self._http.post(f"http://{self._addresses[name].client}/v3/{method}", json=body)
        answer.raise_for_status()
        return answer.json()

    def _member(self, name: str) -> Member:
        addresses = {"endpoint": self._addresses[name].client}
        # The last member would wait in vain for one to hand its leadership to.
        return Member(name, Role.ETCD, addresses, self._prepare, last_signal=signal.SIGKILL)

    async def _prepare(self, member: Member) -> Command:
        place = self._places[member.name]
        if member.name in self._unwanted:
            place.clear()
            self._unwanted.discard(member.name)
        flags = [f"--{key}={value}" for key, value in self._settings(member.name).items()]
        return Command(
            (str(tool("etcd")), *flags),
            {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")},
            self._logs / f"{member.name}.log",
            directory=place.directory,
            enter=place.enter,
        )

    def _settings(self, name: str) -> dict[str, str]:
        own = self._addresses[name]
        everyone = [f"{each}=http://{addresses.advertised_peer}" for each, addresses in self._addresses.items()]
        return {
            "name": name,
            "data-dir": str(self._places[name].directory / "data"),
            "listen-client-urls": f"http://{own.client}",
            "advertise-client-urls": f"http://{own.client}",
            "listen-peer-urls": f"http://{own.peer}",
            "initial-advertise-peer-urls": f"http://{own.advertised_peer}",
            "initial-cluster": ",".join(everyone),
            "initial-cluster-token": "chaos",
            "heartbeat-interval": str(HEARTBEAT_MILLISECONDS),
            "election-timeout": str(ELECTION_MILLISECONDS),
            "auto-compaction-mode": "periodic",
            "auto-compaction-retention": "5m",
            "quota-backend-bytes": str(QUOTA_BYTES),
            "log-level": "warn",
        }
