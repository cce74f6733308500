"""No check objects to what is allowed, in whatever order it happens."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.checks import verdict
from chaos.history.record import Facts
from tests.unit.chaos.legal import Teller

TASKS = ("a", "b", "c")
SESSIONS = ("s1", "s2")

MOVES = st.tuples(
    st.sampled_from(
        ["advance", "fail", "release", "lose", "cancel", "redrive", "read", "purge", "late success", "term"]
    ),
    st.sampled_from(TASKS),
    st.sampled_from(SESSIONS),
)


class Play:
    """Makes each move if it is allowed now, as the server would."""

    def __init__(self) -> None:
        self.t = Teller(Facts(healed_at=0.0, recovery=5.0))
        self.dead: set[str] = set()
        self.late: dict[str, str | None] = {}
        for session in SESSIONS:
            self.t.hello(session, slots=2)
        for task in TASKS:
            self.t.submit(task, key=task, delay=0.3 if task == "a" else None)

    def move(self, what: str, task: str, session: str) -> None:
        state = self.t.row(task).new
        match what, state:
            case "advance", _:
                self._advance(task, session)
            case "fail", "RUNNING":
                self._fail(task)
            case "release", "RUNNING" if not self.t.row(task).cancel_requested:
                self.t.release(task)
            case "lose", _ if session not in self.dead:
                self._lose(session)
            case "cancel", _ if state is not None:
                self._cancel(task)
            case "redrive", "FAILED":
                self.t.call("redrive", task, state="QUEUED")
                self.t.change(task, "QUEUED", failures=0, crashes=0, cancel_requested=False)
            case "read", _ if state is not None:
                self.t.read(task)
            case "purge", "FAILED":
                self.t.call("purge", task)
                self.t.change(task, None)
            case "late success", "QUEUED" if task in self.late:
                self.t.change(task, "SUCCEEDED", result=self.late[task])
            case "term", _:
                self.t.raise_term(self.t.term + 1)

    def finish(self) -> None:
        """The drain: all that is left ends."""
        while any(self._open(task) for task in TASKS):
            for task in TASKS:
                self._advance(task, "s1")

    def _open(self, task: str) -> bool:
        return self.t.row(task).new in ("SCHEDULED", "QUEUED", "RUNNING")

    def _advance(self, task: str, session: str) -> None:
        row = self.t.row(task)
        if row.new == "SCHEDULED":
            self.t.now = max(self.t.now, row.due)
            self.t.promote(task)
        elif row.new == "QUEUED":
            self._claim(task, session)
        elif row.new == "RUNNING":
            self.t.succeed(task)

    def _claim(self, task: str, session: str) -> None:
        if session in self.dead:
            self.t.hello(session, slots=2)
            self.dead.discard(session)
        held = [row.session for row in map(self.t.row, TASKS) if row.new == "RUNNING"]
        if held.count(session) < 2:
            self.late.pop(task, None)
            self.t.claim(task, session)

    def _fail(self, task: str) -> None:
        row = self.t.row(task)
        spent = row.failures + 1 >= 3
        self.t.fail(task, to="CANCELLED" if row.cancel_requested else "FAILED" if spent else "SCHEDULED")

    def _lose(self, session: str) -> None:
        held = [task for task in TASKS if self.t.row(task).new == "RUNNING" and self.t.row(task).session == session]
        for task in held:
            self.late[task] = self.t.said(task, "SUCCEEDED")
        stopping = [task for task in held if self.t.row(task).cancel_requested]
        self.t.lose(session, [task for task in held if task not in stopping])
        for task in stopping:
            self.t.change(task, "CANCELLED", crashes=self.t.row(task).crashes + 1)
        self.dead.add(session)

    def _cancel(self, task: str) -> None:
        state = self.t.row(task).new
        if state in ("SCHEDULED", "QUEUED"):
            self.t.change(task, "CANCELLED")
        elif state == "RUNNING":
            self.t.change(task, "RUNNING", cancel_requested=True)
        self.t.call("cancel", task, state=self.t.row(task).new)


@settings(max_examples=150, deadline=None)
@given(st.lists(MOVES, max_size=40))
def test_whatever_is_allowed_is_good(moves: list[tuple[str, str, str]]) -> None:
    play = Play()
    for move in moves:
        play.move(*move)
    play.finish()
    found = verdict(play.t.history)
    assert found.good, "\n".join(map(str, found.violations))
