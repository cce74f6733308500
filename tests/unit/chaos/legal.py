"""Histories by hand: a little cluster that only does what is allowed, one step at a time."""

from collections.abc import Sequence

from chaos.history.events import (
    Call,
    Ended,
    Phase,
    Placement,
    Read,
    SessionChange,
    Started,
    Submit,
    TermRaised,
    Transition,
    digest,
)
from chaos.history.record import Facts, History

STEP = 0.1


class Teller:
    """Appends events to a history; every step takes a tenth of a second."""

    def __init__(self, facts: Facts | None = None) -> None:
        self.history = History(facts or Facts())
        self.now = 0.0
        self._seq = 0
        self._rows: dict[str, Transition] = {}
        self.raise_term(1)

    def row(self, task: str) -> Transition:
        """The task's last change."""
        return self._rows[task]

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += seconds

    def raise_term(self, term: int) -> None:
        """A leader begins."""
        self.history.terms.append(TermRaised(*self._stamp(), term, f"dispatcher-{term}"))
        self.term = term

    def hello(self, session: str, *, slots: int = 10, live: bool = True, **fields: object) -> None:
        """A session comes, or goes."""
        said: dict[str, object] = {"types": ("t",), "queues": (), "labels": {}, **fields}
        seq, at = self._stamp()
        self.history.sessions.append(
            SessionChange(seq, at, seq, session, "default", 1, live, slots, **said)  # type: ignore[arg-type]
        )

    def submit(self, task: str, *, phase: str = Phase.OK, stored: bool = True, **fields: object) -> None:
        """A client submits, and the database stores it."""
        request = str(fields.pop("request", digest(task.encode())))
        key = fields.pop("key", None)
        delay = fields.pop("delay", None)
        selector = str(fields.pop("selector", ""))
        max_attempts = fields.pop("max_attempts", None)
        invoked = self.now
        if stored:
            new = "SCHEDULED" if delay else "QUEUED"
            self.change(
                task,
                new,
                due=self.now + (delay or 0.0),  # type: ignore[operator]
                placement=Placement("default", "default", "t", selector, 5),
                key=key,
                request=request,
                max_attempts=max_attempts,
                **fields,
            )
        told = task if phase == Phase.OK else None
        self.history.submits.append(
            Submit(invoked, self.now, "c", "w", "default", key, request, phase, told, type="t")  # type: ignore[arg-type]
        )

    def change(self, task: str, new: str | None, **fields: object) -> Transition:
        """A change of the task's row; what isn't given stays."""
        before = self._rows.get(task)
        seq, at = self._stamp()
        if before is None:
            change = Transition(seq, at, seq, task, None, new)
        else:
            kept = {"term": None, "result": None, "placement": None, "key": None, "request": None, "max_attempts": None}
            change = before._replace(seq=seq, at=at, transaction=seq, old=before.new, new=new, **kept)  # type: ignore[arg-type]
        change = change._replace(**fields)  # type: ignore[arg-type]
        self._rows[task] = change
        self.history.transitions.append(change)
        return change

    def promote(self, task: str) -> None:
        """SCHEDULED becomes QUEUED."""
        self.change(task, "QUEUED", term=self.term)

    def claim(self, task: str, session: str, *, start: bool = True) -> None:
        """A claim, and the worker starts."""
        attempt = self.row(task).attempt + 1
        self.change(task, "RUNNING", attempt=attempt, session=session)
        if start:
            self._tick()
            self.history.started.append(Started(self.now, "w", session, task, attempt))

    def said(self, task: str, outcome: str, *, session: str | None = None) -> str | None:
        """The worker ends the attempt; the digest of its result."""
        row = self.row(task)
        result = digest(f"{task}/{row.attempt}".encode()) if outcome == "SUCCEEDED" else None
        self._tick()
        ended = Ended(self.now, "w", session or row.session or "", task, row.attempt, outcome, result)
        self.history.ended.append(ended)
        return result

    def succeed(self, task: str) -> None:
        """The worker returns, and that is accepted."""
        self.change(task, "SUCCEEDED", result=self.said(task, "SUCCEEDED"))

    def fail(self, task: str, *, to: str = "SCHEDULED", outcome: str = "FAILED", backoff: float = 0.5) -> None:
        """The worker raises."""
        self.said(task, outcome)
        row = self.row(task)
        due = self.now + backoff if to == "SCHEDULED" else row.due
        session = None if to == "SCHEDULED" else row.session
        self.change(task, to, failures=row.failures + 1, reason="Error", due=due, session=session)

    def release(self, task: str) -> None:
        """The worker hands the attempt back."""
        self.change(task, "QUEUED", session=None)

    def lose(self, session: str, tasks: Sequence[str]) -> None:
        """A session is given up with all it runs."""
        self.hello(session, live=False)
        for task in tasks:
            row = self.row(task)
            if row.crashes == self.history.facts.crashes_allowed:
                self.change(task, "FAILED", crashes=row.crashes + 1, reason="CRASH_LOOP")
            else:
                self.change(task, "QUEUED", crashes=row.crashes + 1)

    def call(self, verb: str, task: str, *, state: str | None = None, phase: str = Phase.OK) -> None:
        """A client's call that returns at once."""
        self.history.calls.append(Call(self.now, self._tick(), "c", verb, task, phase, state))

    def read(self, task: str) -> None:
        """A client reads the task."""
        row = self.row(task)
        self.history.reads.append(Read(self.now, self._tick(), "c", task, row.new, row.attempt))
        self._tick()

    def _stamp(self) -> tuple[int, float]:
        self._seq += 1
        return self._seq, self._tick()

    def _tick(self) -> float:
        self.now += STEP
        return self.now


def busy_day() -> Teller:
    """A history with everything in it that may happen; no check objects."""
    t = Teller(Facts(healed_at=0.0))
    t.hello("s1", slots=3, labels={"zone": "a"})
    t.hello("s2", slots=3, labels={"zone": "b"})
    for task in ("plain", "keyed", "flaky", "crashed", "salvaged", "cancelled", "letter", "released"):
        t.submit(task, key=task if task == "keyed" else None, selector="zone=a" if task == "plain" else "")
    t.submit("delayed", delay=1.0)
    t.claim("plain", "s1")
    t.read("plain")
    t.succeed("plain")
    t.read("plain")
    t.claim("keyed", "s2")
    t.succeed("keyed")
    t.claim("flaky", "s2")
    t.fail("flaky")
    t.wait(1)
    t.promote("flaky")
    t.claim("flaky", "s1")
    t.succeed("flaky")
    t.claim("crashed", "s1")
    t.claim("salvaged", "s1")
    result = t.said("salvaged", "SUCCEEDED")
    t.lose("s1", ["crashed", "salvaged"])
    t.hello("s1", slots=3, labels={"zone": "a"})
    t.change("salvaged", "SUCCEEDED", result=result)
    t.claim("crashed", "s2")
    t.succeed("crashed")
    t.claim("cancelled", "s2")
    t.change("cancelled", "RUNNING", cancel_requested=True)
    t.call("cancel", "cancelled", state="RUNNING")
    t.said("cancelled", "STOPPED")
    t.change("cancelled", "CANCELLED")
    t.claim("letter", "s2")
    t.fail("letter", to="FAILED", outcome="HOPELESS")
    t.read("letter")
    t.call("redrive", "letter", state="QUEUED")
    t.change("letter", "QUEUED", failures=0, crashes=0)
    t.read("letter")
    t.claim("letter", "s2")
    t.succeed("letter")
    t.claim("released", "s2")
    t.release("released")
    t.claim("released", "s1")
    t.succeed("released")
    t.raise_term(2)
    t.promote("delayed")
    t.claim("delayed", "s1")
    t.succeed("delayed")
    t.submit("unknown", phase=Phase.UNKNOWN)
    t.claim("unknown", "s1")
    t.succeed("unknown")
    t.submit("never", phase=Phase.UNKNOWN, stored=False)
    return t
