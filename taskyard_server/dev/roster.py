"""cluster.json: what runs, for people and programs that want to reach or kill it."""

import json
from collections.abc import Iterable
from pathlib import Path

from taskyard_server.dev.member import Member

NAME = "cluster.json"


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
    fresh = directory / f"{NAME}.new"
    fresh.write_text(document)
    fresh.replace(directory / NAME)
