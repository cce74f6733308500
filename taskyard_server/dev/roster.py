"""cluster.json: what runs, for people and programs that want to reach or kill it. Has the stores' passwords."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from taskyard_server.dev.member import Member
from taskyard_server.dev.secret import write_private

NAME = "cluster.json"
_USER_INFO = re.compile(r"//[^/@]*@")


def roster(members: Iterable[Member], *, rest: str, grpc: str) -> str:
    """The document for the members that run now."""
    processes = [
        {"name": member.name, "role": member.role, "pid": member.pid, "addresses": dict(member.addresses)}
        for member in members
        if member.pid is not None
    ]
    return json.dumps({"processes": processes, "rest": rest, "grpc": grpc}, indent=2) + "\n"


def write_roster(directory: Path, document: str) -> None:
    """Replaces the file in one step, so that no reader ever sees half of it."""
    write_private(directory / NAME, document)


def shown(addresses: Mapping[str, str]) -> dict[str, str]:
    """What may be seen of them by whoever looks at the screen: no passwords."""
    return {name: _USER_INFO.sub("//", value) for name, value in addresses.items() if name != "password"}
