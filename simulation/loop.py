"""An event loop in which time is a number, and a seed decides which process goes on next."""

import asyncio
import contextvars
import heapq
import logging
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar, cast

Result = TypeVar("Result")

_ASKED = (
    (asyncio, "get_running_loop"),
    (asyncio.events, "get_running_loop"),
    (asyncio.events, "_get_running_loop"),
    (asyncio.events, "_get_event_loop"),
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


_Timer = tuple[float, int, Handle | None, Callable[..., object], tuple[Any, ...]]
"""When, which of that time, and what; without a handle it is an event of the world that nobody takes back."""


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
    process: Process

    def __hash__(self) -> int:
        return self.number


class VirtualLoop:
    """Runs processes side by side. Within one, callbacks keep their order; among them, `random` chooses who is next.

    Time stands still while anybody has a turn, then jumps to the next timer. More turns than `limit` are a livelock.
    """

    def __init__(self, random: Random, limit: int) -> None:
        # What asyncio needs of a loop, and no more: nothing here waits for sockets, threads or signals.
        self.itself = cast("asyncio.AbstractEventLoop", self)
        self._random = random.random
        self._limit = limit
        self._now = 0.0
        self._timers: list[_Timer] = []
        self._count = 0
        self._processes: list[Process] = []
        self._runnable: list[Process] = []
        self._tasks: list[_Task] = []
        self._closed = False
        self._replaced: list[tuple[object, str, object]] = []
        self.turns = 0
        self.digest = 0
        """Equal for equal runs: who had a turn when, and how much there was to do."""
        self.errors: list[dict[str, Any]] = []
        """What nobody has caught."""
        self.world = Process(self, "world")

    def __enter__(self) -> Self:
        asyncio._set_running_loop(self.itself)
        # The real ones ask the kernel for the process's id each time, which a tenth of all time went into.
        for owner, name in _ASKED:
            self._replace(owner, name, lambda **_: self)
        # Nobody asks for all tasks.
        self._replace(vars(asyncio.tasks)["_all_tasks"], "add", id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._let_go()
        finally:
            for owner, name, original in self._replaced:
                setattr(owner, name, original)
            asyncio._set_running_loop(None)

    def _replace(self, owner: object, name: str, by: object) -> None:
        self._replaced.append((owner, name, getattr(owner, name)))
        setattr(owner, name, by)

    # What the simulation asks for

    def number(self, process: Process) -> int:
        """The process's place among all there ever were."""
        self._processes.append(process)
        return len(self._processes) - 1

    def unfinished(self, process: Process) -> list[asyncio.Task[Any]]:
        """What the process has begun and not ended."""
        return [task for task in self._tasks if task.process is process and not task.done()]

    def list_ready(self, process: Process) -> None:
        """Give the process turns, if it has anything to do and may."""
        if process.ready and not process.listed and process.running:
            process.listed = True
            self._runnable.append(process)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run everything until the world's `work` is done, and return what it returns."""
        main = self.world.start(work)
        # Events of the world are run in its context without entering it for each.
        self.world.context.run(self._run_until, main)
        return main.result()

    def after(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Have something happen in the world, whatever becomes of who asks for it; a clock's tick later or more."""
        self._count += 1
        when = self._now + (delay if delay > _TICK else _TICK)
        heapq.heappush(self._timers, (when, self._count, None, callback, args))

    def at(self, when: float, callback: Callable[..., object], *args: Any) -> None:
        """The same at a virtual time."""
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, None, callback, args))

    def _run_until(self, main: asyncio.Task[Any]) -> None:
        runnable, turn, jump, limit = self._runnable, self._turn, self._jump, self._limit
        while not main.done():
            if runnable:
                turn()
            else:
                jump()
            if self.turns > limit:
                raise Livelock(f"more than {self._limit} turns until {self._now:.3f} s")

    def _turn(self) -> None:
        """All that one process has to do right now."""
        runnable = self._runnable
        at = int(self._random() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[at]
        queue = process.ready
        turns = len(queue)
        self.turns += turns
        self.digest = hash((self.digest, self._now, process.number, turns))
        while turns and queue and not process.stopped:
            turns -= 1
            handle = queue.popleft()
            if not handle._cancelled:
                try:
                    handle.context.run(handle.callback, *handle.args)
                except Exception as error:
                    self._failed(process, error)
        if not queue or not process.running:
            process.listed = False
            # The order of the others changes, but always in the same way.
            runnable[at] = runnable[-1]
            runnable.pop()

    def _jump(self) -> None:
        """Go to the time of the next timer; those of the same time become ready together, the world's come first."""
        timers, now = self._timers, -1.0
        while timers and (now < 0.0 or timers[0][0] <= now):
            when, _, handle, callback, args = heapq.heappop(timers)
            if handle is not None and handle._cancelled:
                continue
            if now < 0.0:
                now = self._now = max(self._now, when)
            if handle is None:
                self._happen(callback, args)
            else:
                self._due(handle)
        if now < 0.0:
            raise Stuck(f"nothing can happen any more after {self._now:.3f} s")

    def _due(self, handle: Handle) -> None:
        process = handle.context.get(_PROCESS, self.world)
        if process is self.world:
            self._happen(handle.context.run, (handle.callback, *handle.args))
        elif process.alive:
            process.ready.append(handle)
            self.list_ready(process)

    def _happen(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.turns += 1
        try:
            callback(*args)
        except Exception as error:
            self._failed(self.world, error)

    def _failed(self, process: Process, error: Exception) -> None:
        self.call_exception_handler({"message": f"callback of {process.name} failed", "exception": error})

    def _let_go(self) -> None:
        """Close what still waits, so that it doesn't fall to the garbage collector at any time later."""
        self._closed = True
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        muted = logging.root.manager.disable
        # Loops that are closed while they wait take it for a failure of theirs.
        logging.disable()
        try:
            for task in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task)
            self._tasks.clear()
            self._timers.clear()
            for process in self._processes:
                process.alive = False
                process.ready.clear()
                process.at_death.clear()
        finally:
            sys.unraisablehook = hook
            logging.disable(muted)

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
        process = context.get(_PROCESS, self.world)
        if process.alive:
            process.ready.append(handle)
            if not process.listed and not process.stopped:
                process.listed = True
                self._runnable.append(process)
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
        heapq.heappush(self._timers, (when, self._count, handle, callback, args))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self.itself)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Result],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Result]:
        """A task of the calling process, or of the one that the context names."""
        _Task.number = len(self._tasks)
        task = _Task(coro, loop=self.itself, name=name or "", context=context)
        task.number = len(self._tasks)
        task.process = _PROCESS.get(self.world) if context is None else context[_PROCESS]
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what nobody has caught."""
        if not self._closed:
            self.errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """As call_exception_handler."""
        self.call_exception_handler(context)

    # Each future asks; never: debugging is what the trace is for.
    get_debug = staticmethod(bool)

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
