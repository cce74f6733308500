"""How the process logs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Level and format of the log, and whether each transition of a task is a line of it."""

    level: str = "INFO"
    format: Literal["json", "text"] = "json"
    transitions: bool = True

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise ValueError(f"log level {self.level!r} is none of {', '.join(sorted(_LEVELS))}")
        if self.format not in ("json", "text"):
            raise ValueError(f"log format {self.format!r} is neither json nor text")

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """TASKYARD_LOG_LEVEL, _LOG_FORMAT and _LOG_TRANSITIONS; raises ValueError for values that make no sense."""
        return cls(
            level=variables.get("TASKYARD_LOG_LEVEL", "INFO").strip().upper(),
            format=cast("Literal['json', 'text']", variables.get("TASKYARD_LOG_FORMAT", "json").strip().lower()),
            transitions=_flag("TASKYARD_LOG_TRANSITIONS", variables.get("TASKYARD_LOG_TRANSITIONS", "on")),
        )


def _flag(name: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{name} is {text!r}, neither on nor off")
    return word in _TRUE
