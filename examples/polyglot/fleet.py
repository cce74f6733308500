"""The workers: some of each language, killed and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from examples.polyglot.chains import LANGUAGES
from taskyard import Client
from taskyard_server.dev.process import Process, ProcessSpec

ROOT = Path(__file__).parents[2]
EACH = 2
PROGRAMS = {
    "python": (sys.executable, "-m", "examples.polyglot.worker"),
    "go": (str(ROOT / ".tools" / "polyglot-worker"),),
    "typescript": ("node", str(ROOT / "examples" / "typescript" / "dist" / "polyglot.js")),
}
LOOK_EVERY_SECONDS = 0.02


class Fleet:
    """Workers of every language, from entry to exit of an `async with`."""

    def __init__(self, directory: Path, dispatchers: str, address: str) -> None:
        self._logs = directory / "logs"
        self._settings = {"TASKYARD_DISPATCHERS": dispatchers, "TASKYARD_ADDRESS": address}
        self._workers = {name: self._process(name, language) for language in LANGUAGES for name in names(language)}
        self.killed: dict[str, int] = dict.fromkeys(LANGUAGES, 0)
        """Workers that were killed while they held tasks, by language."""

    async def __aenter__(self) -> Self:
        for worker in self._workers.values():
            worker.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(worker.stop(grace=30.0) for worker in self._workers.values()))

    async def kill(self, language: str, client: Client) -> None:
        """kill -9 for a worker of that language as soon as one holds tasks, and another start."""
        while True:
            for info in await client.workers():
                if info.running and info.name in names(language):
                    os.kill(info.pid, signal.SIGKILL)
                    await self._start_again(self._workers[info.name])
                    self.killed[language] += 1
                    return
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def failure(self) -> str | None:
        """The words of a worker that ended by itself."""
        ended = (worker for worker in self._workers.values() if not worker.running)
        return next((str(worker.failure("ended")) for worker in ended), None)

    def spared(self) -> Iterator[str]:
        """What is missing in languages of which no worker was killed."""
        spared = (language for language, times in self.killed.items() if not times)
        return (f"no worker in {language} was killed while it held tasks" for language in spared)

    @staticmethod
    async def _start_again(worker: Process) -> None:
        while worker.running:  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        worker.start()

    def _process(self, name: str, language: str) -> Process:
        settings = {**self._settings, "TASKYARD_WORKER_NAME": name, "TASKYARD_WORKER_SLOTS": "10"}
        return Process(
            ProcessSpec(
                name=name,
                role="worker",
                argv=PROGRAMS[language],
                environment={**os.environ, **settings},
                log=self._logs / f"{name}.log",
                directory=ROOT,
                death_signal=signal.SIGTERM,
            )
        )


def names(language: str) -> Iterator[str]:
    """Of the workers of a language."""
    return (f"{language}-{number}" for number in range(1, EACH + 1))
