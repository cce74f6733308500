"""What all steps have in common."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from conformance import pattern
from conformance.stage import Stage

WITHIN = 5.0
"""Seconds that a step waits where it does not say."""


def _seconds(value: Any) -> float:
    if isinstance(value, str) and value.endswith("s"):
        return float(value[:-1])
    raise ValueError(f"write seconds as text: 0.5s, not {value!r}")


def _pattern(value: Any) -> Any:
    pattern.check(value)
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
Pattern = Annotated[Any, AfterValidator(_pattern)]


class Step(BaseModel):
    """One step of a case: `verb` is the key that a case writes it with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: ClassVar[str]

    async def take(self, stage: Stage) -> None:
        """Do it; raises StepFailed if the testee does otherwise."""
        raise NotImplementedError


KINDS: dict[str, type[Step]] = {}
"""All steps by their verb."""


def step(kind: type[Step]) -> type[Step]:
    """Make a step known."""
    KINDS[kind.verb] = kind
    return kind


def parse(written: Any) -> Step:
    """A step as a case writes it; raises ValueError for one that is none."""
    if not isinstance(written, dict):
        raise ValueError(f"a step is a mapping, got {written!r}")
    verbs = [KINDS[key] for key in written if key in KINDS]
    if not verbs:
        raise ValueError(f"no step has the keys {', '.join(map(str, written))}")
    return verbs[0].model_validate(written)
