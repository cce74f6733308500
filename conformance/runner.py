"""Runs cases against a testee, and says of each how it went."""

import tempfile
import traceback
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from conformance.case import Case
from conformance.certificates import lay_out
from conformance.dispatcher import Dispatcher
from conformance.sdks import ROOT, Sdk
from conformance.stage import Stage, StepFailed
from conformance.testee_process import TesteeError


class Outcome(StrEnum):
    """How a run went."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"
    """The testee could not be tried: it did not start, or broke its own protocol."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one case."""

    case: Case
    outcome: Outcome
    told: str = ""
    """Why, for people."""
    said: str = ""
    """What the testee wrote to stderr."""
    broken: str = ""
    """Which broken SDK was tried, if it was one."""


class Runner:
    """Tries cases on one SDK."""

    def __init__(self, sdk: Sdk, *, root: Path = ROOT, patience: float = 1.0) -> None:
        self._sdk = sdk
        self._root = root
        self._patience = patience

    async def run(self, case: Case, broken: str = "") -> Verdict:
        """One case, with a testee of its own."""
        if lacking := case.features & self._sdk.lacks.keys():
            reasons = "; ".join(f"{name}: {self._sdk.lacks[name]}" for name in sorted(lacking))
            return Verdict(case, Outcome.SKIPPED, reasons, broken=broken)
        with tempfile.TemporaryDirectory(prefix="taskyard-kit-") as name:
            directory = Path(name)
            command = [*self._sdk.command, *(["--broken", broken] if broken else [])]
            home = self._root / self._sdk.directory
            stage = Stage(command, home, case.environment, directory, self._patience)
            try:
                outcome, told = await self._try(case, stage)
            finally:
                await stage.close()
            return Verdict(case, outcome, told, stage.testee.said, broken)

    async def _try(self, case: Case, stage: Stage) -> tuple[Outcome, str]:
        try:
            await self._open(case, stage)
            missing = case.features - _with_implied(stage.testee.features)
            if missing:
                return (
                    Outcome.FAILED,
                    f"the testee does not announce {', '.join(missing)}, and sdks.toml gives no reason",
                )
            return await self._perform(case, stage)
        except TesteeError as error:
            return Outcome.ERROR, str(error)
        except Exception:  # a fault of the kit's own: it shall not pass for the testee's
            return Outcome.ERROR, traceback.format_exc()

    async def _open(self, case: Case, stage: Stage) -> None:
        dispatchers = [
            Dispatcher(name, frozenset(setting.auto), setting.welcome) for name, setting in case.dispatchers.items()
        ]
        credentials = lay_out(stage.directory, case.tls) if case.tls else None
        await stage.open(dispatchers, case.schedulers, credentials)
        for name, setting in case.dispatchers.items():
            await stage.dispatchers[name].become(setting.door)

    async def _perform(self, case: Case, stage: Stage) -> tuple[Outcome, str]:
        for number, step in enumerate(case.steps, 1):
            try:
                await step.take(stage)
            except StepFailed as failed:
                return Outcome.FAILED, f"step {number} ({step.verb}): {failed}"
            if told := stage.violations():
                return Outcome.FAILED, f"after step {number} ({step.verb}): {told[0]}"
        return Outcome.PASSED, ""


def _with_implied(features: frozenset[str]) -> frozenset[str]:
    return features | {"microseconds"} if "nanoseconds" in features else features
