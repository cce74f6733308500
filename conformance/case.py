"""Cases: files of YAML, read strictly, so that a slip is an error and not a case that says nothing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, field_validator

from conformance.certificates import Mode
from conformance.documents import build
from conformance.steps import Step, parse
from taskyard_core.wire.gen import worker_service_pb2 as wire

DIRECTORY = Path(__file__).with_name("cases")


class DispatcherSetting(BaseModel):
    """A dispatcher of a case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auto: list[Literal["welcome", "echo", "ack", "end"]] = ["welcome", "echo", "ack"]
    welcome: dict[str, Any] = {"heartbeat_interval": "0.2s", "session_timeout": "30s"}
    door: Literal["open", "slam", "silent", "away"] = "open"

    @field_validator("welcome")
    @classmethod
    def _fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        build(wire.Welcome(), value)
        return value


class Case(BaseModel):
    """One case. `steps` are taken one after another; the referee looks on all the time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    shows: int = Field(ge=1, le=50)
    """The number of the behaviour, as README.md lists them."""
    title: str
    needs: list[str] = []
    """Features without which it is skipped, beside `worker` or `client`."""
    broken: list[str] = Field(min_length=1)
    """Broken Pythons, each of which it has to fail."""
    dispatchers: dict[str, DispatcherSetting] = {}
    schedulers: list[str] = []
    tls: Mode | None = None
    """The schedulers talk TLS; `$dir` has ca.pem, other-ca.pem, client.pem and client-key.pem."""
    environment: dict[str, str] = {}
    slow: bool = False
    """Takes longer than 8 s: left out of `make test`."""
    steps: list[Annotated[SerializeAsAny[Step], BeforeValidator(parse)]] = Field(min_length=1)

    @property
    def features(self) -> frozenset[str]:
        """All that it needs of a testee."""
        sides = (["worker"] if self.dispatchers else []) + (["client"] if self.schedulers else [])
        return frozenset([*sides, *self.needs])


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    behaviours: dict[int, str]
    cases: list[Case]


class _Loader(yaml.CSafeLoader):
    """Refuses a key that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, checked."""
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


# `no` and `on` are words here.
_Loader.yaml_implicit_resolvers = {
    letter: [(tag, expression) for tag, expression in found if tag != "tag:yaml.org,2002:bool" or letter in "tTfF"]
    for letter, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str, name: str = "cases") -> tuple[dict[int, str], list[Case]]:
    """Behaviours and cases of a file; raises ValueError saying where it is wrong."""
    try:
        found = _File.model_validate(yaml.load(text, _Loader))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{name}: {error}") from error
    return found.behaviours, found.cases


def load(paths: Iterable[Path] | None = None) -> tuple[dict[int, str], list[Case]]:
    """All behaviours and cases; raises ValueError for a file that is wrong, or a name that two cases have."""
    behaviours: dict[int, str] = {}
    cases: list[Case] = []
    for path in sorted(DIRECTORY.glob("*.yaml")) if paths is None else paths:
        more, found = read(path.read_text(), path.name)
        behaviours |= more
        cases += found
    names = [case.case for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two cases are called {', '.join(sorted(twice))}")
    if unknown := [case.case for case in cases if case.shows not in behaviours]:
        raise ValueError(f"of no known behaviour: {', '.join(unknown)}")
    return behaviours, cases
