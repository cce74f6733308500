"""The Compose file as tests see it."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.chart import ROOT

COMPOSE = ROOT / "deploy" / "compose"

Document = dict[str, Any]


def read(name: str) -> Document:
    """One of the YAML files beside the Compose file, or that file itself."""
    found: Document = yaml.safe_load((COMPOSE / name).read_text())
    return found


@functools.cache
def document() -> Document:
    """The Compose file, anchors resolved."""
    return read("compose.yaml")


@functools.cache
def services() -> dict[str, "Service"]:
    """What it starts, by name."""
    return {name: Service(name, values) for name, values in document()["services"].items()}


def seconds(text: str) -> int:
    """A duration as the Compose file writes them."""
    match = re.fullmatch(r"(\d+)s", text)
    assert match, text
    return int(match[1])


@dataclass(frozen=True)
class Service:
    """One service."""

    name: str
    values: Document

    @property
    def command(self) -> list[str]:
        """Its arguments."""
        command: list[str] = self.values.get("command", [])
        return command

    @property
    def environment(self) -> dict[str, str]:
        """Its variables."""
        environment: dict[str, str] = self.values.get("environment", {})
        return environment

    @property
    def ours(self) -> bool:
        """Whether it runs an image of this project."""
        return "build" in self.values

    @property
    def lasting(self) -> bool:
        """Whether it is meant to run on and on."""
        return bool(self.values["restart"] != "no")

    @property
    def role(self) -> str:
        """What `taskyard-server` is told to be; empty if it is not one."""
        server = self.ours and self.values["build"].get("target") == "server"
        return self.command[0] if server else ""

    @property
    def replicas(self) -> int:
        """How many there are unless somebody scales."""
        return int(self.values["deploy"].get("replicas", 1))

    @property
    def networks(self) -> set[str]:
        """The networks that it is in."""
        return set(self.values.get("networks", ["default"]))

    def answers_to(self, name: str, network: str) -> bool:
        """Whether others in that network find it by that name."""
        if network not in self.networks:
            return False
        ways = self.values.get("networks", {})
        aliases = (ways[network] or {}).get("aliases", []) if isinstance(ways, dict) and ways else []
        return name in (self.name, *aliases)

    @property
    def published(self) -> dict[int, int]:
        """Ports of the container by ports of this machine; only loopback is let through."""
        found: dict[int, int] = {}
        for text in self.values.get("ports", []):
            host, outside, inside = text.split(":")
            assert host == "127.0.0.1", text
            found[int(outside)] = int(inside)
        return found

    @property
    def mounts(self) -> dict[str, str]:
        """What is mounted, a path or a volume's name, by where."""
        parts = [text.split(":") for text in self.values.get("volumes", [])]
        return {where: what for what, where, *_ in parts}

    def file(self, where: str) -> Path:
        """The file or folder of this repository that the container sees there."""
        for place, what in self.mounts.items():
            if what.startswith(".") and (where == place or where.startswith(f"{place}/")):
                return (COMPOSE / what).resolve() / where[len(place) :].lstrip("/")
        raise AssertionError(f"{self.name} sees nothing of this repository at {where}")


def found_by(asking: Service, host: str) -> list[Service]:
    """The services that a host name means to one of them."""
    return [one for one in services().values() for network in asking.networks if one.answers_to(host, network)]
