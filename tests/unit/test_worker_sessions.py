"""What a dispatcher notes of a session."""

from taskyard_core.domain.matching import Capabilities
from taskyard_core.storage.claims import Claimed
from taskyard_core.telemetry import Runner
from taskyard_dispatcher.sessions.roster import Running, Session


def running(session: Session, task: str) -> None:
    claimed = Claimed(task, 1, session.id, "lane", b"", None, 0, 0, None, None, 0.0)
    session.assign([Running(claimed, 0.0)], [])


def test_each_of_those_who_ask_hears_of_what_ends_until_it_has_asked_enough() -> None:
    session = Session(
        id="s",
        generation=1,
        runner=Runner("s", "w"),
        capabilities=Capabilities("default", frozenset(["x"])),
        slots=2,
        draining=False,
    )
    running(session, "a")
    running(session, "b")
    with session.ended_meanwhile() as longer:
        with session.ended_meanwhile() as shorter:
            pass
        session.forget("a", 1)
    session.forget("b", 1)
    assert longer == {("a", 1)}
    assert shorter == set()
