"""How far the run has come, for whoever watches: a bar in a terminal, lines elsewhere."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

LINES = 10


class Progress(Protocol):
    """What the run tells. Entered before the first task, left after the last."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, done: int) -> None:
        """So many tasks are over."""

    def note(self, text: str) -> None:
        """Something happened."""


class Bar:
    """For a terminal."""

    def __init__(self, total: int, console: Console) -> None:
        columns = (TextColumn("tasks"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=console)
        self._task = self._bar.add_task("tasks", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int) -> None:
        self._bar.update(self._task, completed=done)

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)


class Lines:
    """For a log: a line for each tenth."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, done: int) -> None:
        tenth = done * LINES // self._total
        if tenth > self._shown:
            self._shown = tenth
            self.note(f"{done} of {self._total} tasks are done")

    def note(self, text: str) -> None:
        print(text, flush=True)


def make_progress(total: int) -> Progress:
    """What fits where the output goes."""
    console = Console()
    return Bar(total, console) if console.is_terminal else Lines(total)
