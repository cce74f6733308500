"""The SDKs that the kit knows, as sdks.toml lists them."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).parent.parent
LISTED = Path(__file__).with_name("sdks.toml")


class Sdk(BaseModel):
    """How to start an SDK's testee, and what is known of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str]
    """Run in `directory`, which is below the project."""
    directory: str = "."
    build: list[str] = []
    """What to run there first, once."""
    lacks: dict[str, str] = {}
    """Features that it does not have, and why."""
    known_failures: dict[str, str] = {}
    """Cases that it fails, and why. They run all the same, and one that passes is an error: strike it out."""
    broken: bool = False
    """Its testee takes `--broken`."""


def load(path: Path = LISTED) -> dict[str, Sdk]:
    """All of them by name."""
    return {name: Sdk.model_validate(found) for name, found in tomllib.loads(path.read_text()).items()}
