"""What the Dockerfile says of the images' processes."""

import json
import re
import shlex
from dataclasses import dataclass

from tests.deploy.chart import ROOT

IMAGES = ROOT / "deploy" / "images"


def stages() -> dict[str, list[str]]:
    """The Dockerfile's instructions by stage."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if match := re.match(r"FROM \S+ AS (\S+)", line):
            found[match[1]] = current = [line]
        elif found and line and not line.startswith("#"):
            current.append(line)
    return found


@dataclass(frozen=True)
class Configuration:
    """How an image starts its process unless it is told otherwise."""

    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: dict[str, str]
    directory: str


def configuration(stage: str) -> Configuration:
    """That of a final stage, with what it has from the one below."""
    every = stages()
    instructions = [line.partition(" ") for line in [*every["base"], *every[stage]]]

    def last(keyword: str) -> str:
        return [text for word, _, text in instructions if word == keyword][-1]

    return Configuration(
        entrypoint=tuple(json.loads(last("ENTRYPOINT"))),
        arguments=tuple(json.loads(last("CMD"))),
        environment=dict(
            pair.split("=", 1) for word, _, text in instructions if word == "ENV" for pair in shlex.split(text)
        ),
        directory=last("WORKDIR"),
    )
