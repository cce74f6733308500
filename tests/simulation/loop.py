"""An event loop in which time is a number, and a seed decides which process goes on next."""

import asyncio
import contextvars
import heapq
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from unittest.mock import patch

Result = TypeVar("Result")

_ASKED = (
    (asyncio, "get_running_loop"),
    (asyncio.events, "get_running_loop"),
    (asyncio.events, "_get_running_loop"),
)
"""Who is asked which loop runs."""


_TICK = 1e-6


class Livelock(Exception):
    """Something goes on and on although nothing is left to do."""


class Stuck(Exception):
    """Nothing is left that could ever happen."""


class Handle:
    """A callback that waits for its turn or its time."""

    __slots__ = ("_cancelled", "args", "callback", "context", "time")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context, time: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.time = time
        self._cancelled = False

    def cancel(self) -> None:
        """Never run it."""
        self._cancelled = True
        # What it would have been called with may be large, and its time far away.
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will never run."""
        return self._cancelled

    def when(self) -> float:
        """Its time."""
        return self.time


class Process:
    """What an operating system runs: it has its turns, is stopped and continued, and dies in the middle of anything.

    Each task and callback belongs to the process that its context names; new ones inherit it.
    """

    def __init__(self, loop: "VirtualLoop", name: str) -> None:
        self.name = name
        self.number = loop.number(self)
        self.loop = loop
        self.alive = True
        self.stopped = False
        self.ready: deque[Handle] = deque()
        self.listed = False
        self.context = contextvars.Context()
        self.context.run(_PROCESS.set, self)
        self.at_death: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return self.name

    @property
    def running(self) -> bool:
        """Whether it gets turns."""
        return self.alive and not self.stopped

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run a coroutine as a part of this process."""
        return self.loop.create_task(work, context=self.context.copy())

    def kill(self) -> None:
        """SIGKILL: nothing of it runs ever again, no `finally` either."""
        if not self.alive:
            return
        self.alive = False
        self.ready.clear()
        for tell in self.at_death:
            tell()

    def stop(self) -> None:
        """SIGSTOP: its turns and timers wait."""
        self.stopped = True

    def go_on(self) -> None:
        """SIGCONT: what has become due meanwhile comes at once."""
        self.stopped = False
        self.loop.list_ready(self)


_PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


def current() -> Process:
    """The process whose code runs now."""
    return _PROCESS.get()


class _Task(asyncio.Task[Any]):
    """Sets of tasks must have the same order in each run, so hashes cannot come from addresses."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class VirtualLoop:
    """Runs processes side by side. Within one, callbacks keep their order; among them, `random` chooses who is next.

    Time stands still while anybody has a turn, then jumps to the next timer. More turns than `limit` are a livelock.
    """

    def __init__(self, random: Random, limit: int) -> None:
        # What asyncio needs of a loop, and no more: nothing here waits for sockets, threads or signals.
        self._itself = cast("asyncio.AbstractEventLoop", self)
        self._random = random.random
        self._limit = limit
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0
        self._processes: list[Process] = []
        self._runnable: list[Process] = []
        self._tasks: list[_Task] = []
        self._closed = False
        self._patches = ExitStack()
        self.turns = 0
        self.digest = 0
        """Equal for equal runs: who had a turn when, and how much there was to do."""
        self.errors: list[dict[str, Any]] = []
        """What nobody has caught."""
        self.world = Process(self, "world")

    def __enter__(self) -> Self:
        asyncio._set_running_loop(self._itself)
        # The real ones ask the kernel for the process's id each time, which a tenth of all time went into.
        for owner, name in _ASKED:
            self._patches.enter_context(patch.object(owner, name, lambda: self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._let_go()
        finally:
            self._patches.close()
            asyncio._set_running_loop(None)

    # What the simulation asks for

    def number(self, process: Process) -> int:
        """The process's place among all there ever were."""
        self._processes.append(process)
        return len(self._processes) - 1

    def list_ready(self, process: Process) -> None:
        """Give the process turns, if it has anything to do and may."""
        if process.ready and not process.listed and process.running:
            process.listed = True
            self._runnable.append(process)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run everything until the world's `work` is done, and return what it returns."""
        main = self.world.start(work)
        while not main.done():
            if not self._runnable:
                self._jump()
                continue
            self._turn()
        return main.result()

    def _turn(self) -> None:
        """All that one process has to do right now."""
        runnable = self._runnable
        at = int(self._random() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[at]
        queue = process.ready
        turns = len(queue)
        self.turns += turns
        if self.turns > self._limit:
            raise Livelock(f"more than {self._limit} turns until {self._now:.3f} s, the last of {process.name}")
        self.digest = hash((self.digest, self._now, process.number, turns))
        while turns and queue and not process.stopped:
            turns -= 1
            handle = queue.popleft()
            if not handle._cancelled:
                self._run(handle, process)
        if not queue or not process.running:
            process.listed = False
            # The order of the others changes, but always in the same way.
            runnable[at] = runnable[-1]
            runnable.pop()

    def _jump(self) -> None:
        """Go to the time of the next timer; those of the same time become ready together, the world's come first."""
        timers, world = self._timers, self.world
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Stuck(f"nothing can happen any more after {self._now:.3f} s")
        now = self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if handle._cancelled:
                continue
            process = handle.context.get(_PROCESS, world)
            if process is world:
                self.turns += 1
                self._run(handle, world)
            elif process.alive:
                process.ready.append(handle)
                self.list_ready(process)
        if self.turns > self._limit:
            raise Livelock(f"more than {self._limit} turns until {now:.3f} s, the last of the world")

    def _run(self, handle: Handle, process: Process) -> None:
        try:
            handle.context.run(handle.callback, *handle.args)
        except Exception as error:
            self.call_exception_handler({"message": f"callback of {process.name} failed", "exception": error})

    def _ready(self, handle: Handle) -> None:
        process = handle.context.get(_PROCESS, self.world)
        if process.alive:
            process.ready.append(handle)
            if not process.listed and not process.stopped:
                process.listed = True
                self._runnable.append(process)

    def _let_go(self) -> None:
        """Close what still waits, so that it doesn't fall to the garbage collector at any time later."""
        self._closed = True
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            for task in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task)
            self._tasks.clear()
            self._timers.clear()
            for process in self._processes:
                process.ready.clear()
                process.at_death.clear()
        finally:
            sys.unraisablehook = hook

    # What asyncio asks for

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """At the process's next turn."""
        if context is None:
            context = contextvars.copy_context()
        handle = Handle(callback, args, context, self._now)
        if not self._closed:
            self._ready(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """After `delay` virtual seconds; no less than a clock's tick, else time could stand still for ever."""
        return self.call_at(self._now + max(delay, _TICK), callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """At a virtual time."""
        handle = Handle(callback, args, context or contextvars.copy_context(), when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self._itself)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Result],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Result]:
        """A task of the calling process, or of the one that the context names."""
        _Task.number = len(self._tasks)
        task = _Task(coro, loop=self._itself, name=name or "", context=context)
        task.number = len(self._tasks)
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what nobody has caught."""
        if not self._closed:
            self.errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """As call_exception_handler."""
        self.call_exception_handler(context)

    def get_debug(self) -> bool:
        """Never: debugging is what the trace is for."""
        return False

    def is_running(self) -> bool:
        """Whether tasks can be made."""
        return not self._closed

    def is_closed(self) -> bool:
        """Whether the simulation is over."""
        return self._closed


def _close(task: asyncio.Task[Any]) -> None:
    coroutine = task.get_coro()
    try:
        coroutine.close()
    except (RuntimeError, asyncio.CancelledError, ValueError):
        # It wants to wait for something while it ends. There is nothing left to wait for.
        return
    except Exception:
        # What a `finally` runs into when its world is gone means nothing.
        return
