"""Both task stores do the same, whatever is asked of them: random statements, and what each answered and told."""

import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from simulation.memory.postgres import Change
from simulation.memory.postgres.tables import LeaderRow, SessionRow, TaskRow
from taskyard_core.domain.submission import build
from taskyard_core.domain.task import RetryPolicy, TaskError, TaskState
from taskyard_core.domain.transitions import (
    Cancelled,
    Due,
    Event,
    Expired,
    Failed,
    IllegalTransition,
    Lost,
    Redriven,
    Released,
    Snapshot,
    Stopped,
    Succeeded,
    Transition,
    decide,
)
from taskyard_core.storage.claims import Bid, Claimed, Head
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.sessions import NamespaceMismatch, SessionRecord
from taskyard_core.storage.store import TaskStore
from taskyard_core.storage.submissions import NewTask
from taskyard_core.storage.tasks import Keeping, TaskFilter
from taskyard_core.storage.term import TermOver
from tests.conformance.task_stores import MemoryYard, PostgresYard

STEPS = 250
EVENTS: list[Event] = [
    Succeeded(b"1"),
    Failed(TaskError("X", "no\0way")),
    Failed(TaskError("Y", retryable=False)),
    Stopped(),
    Released(),
    Lost(),
    Due(),
    Cancelled(),
    Expired(),
    Redriven(),
]
LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
FIRST = "00000000-0000-0000-0000-000000000000"

Ask = Callable[[TaskStore], Awaitable[object]]


class Chance:
    """Draws what is asked next; what it remembers are values, the same for both stores."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.sessions = [self.uuid() for _ in range(4)]
        self.tasks: list[str] = [self.uuid()]
        self.seen: dict[str, Snapshot] = {}
        self.verbs = [name.removeprefix("ask_") for name in dir(self) if name.startswith("ask_")]

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def next(self) -> tuple[str, Ask]:
        verb = self.random.choices(
            self.verbs, [6 if verb in ("claim", "apply", "submit") else 1 for verb in self.verbs]
        )[0]
        ask: Ask = getattr(self, f"ask_{verb}")()
        return verb, ask

    def some(self, most: int = 4) -> list[str]:
        return self.random.sample(self.tasks, min(len(self.tasks), self.random.randint(1, most)))

    def moment(self) -> datetime | None:
        """Long past, or far away."""
        away = timedelta(days=1, seconds=self.random.randint(0, 10**6))
        return self.random.choice([None, None, datetime.now(UTC) - away, datetime.now(UTC) + away])

    def new(self) -> NewTask:
        task, draw = self.uuid(), self.random
        self.tasks.append(task)
        spec = build(
            type=draw.choice(["a", "b"]),
            queue=draw.choice(["", "q"]),
            priority=draw.randint(0, 10),
            payload=b'"%d"' % draw.randint(0, 99),
            idempotency_key=draw.choice(["", "", "k", "l"]),
            run_at=self.moment(),
            expires_at=self.moment(),
            retry=draw.choice(
                [None, RetryPolicy(max_attempts=3, initial_backoff=3600.0), RetryPolicy(initial_backoff=0)]
            ),
        )
        return NewTask(task, spec, draw.choice([b"h", b"i"]), draw.choice([b"v", b"w"]))

    def filter(self) -> TaskFilter:
        draw = self.random.choice
        return TaskFilter(
            draw([None, "default"]), draw([None, "q"]), draw([None, "a"]), draw([None, *TaskState]), draw([None, "X"])
        )

    def bids(self, among: list[str]) -> tuple[list[Bid], dict[str, int]]:
        bids = []
        for task in among:
            attempt = self.seen[task].attempt if task in self.seen else 0
            bids.append(Bid(task, attempt + self.random.choice([0, 0, 0, 1]), self.random.choice(self.sessions)))
        return bids, {session: self.random.choice([1, 1, 2, 3]) for session in self.sessions}

    def transitions(self) -> list[Transition]:
        decided = []
        for task in self.some(5):
            snapshot = self.seen.get(task)
            if snapshot is not None:
                session = self.random.choice([snapshot.session, snapshot.session, self.random.choice(self.sessions)])
                try:
                    event = self.random.choice(EVENTS)
                    decided.append(decide(snapshot._replace(session=session), event, lambda: 0.5))
                except IllegalTransition:
                    continue
        return decided

    def ask_submit(self) -> Ask:
        batch = [self.new() for _ in range(self.random.randint(1, 3))]
        return lambda store: store.submissions.submit(batch)

    def ask_hello(self) -> Ask:
        record = SessionRecord(
            id=self.random.choice(self.sessions),
            namespace=self.random.choice(["default", "default", "other"]),
            worker=self.random.choice(["v", "w"]),
            pod=self.random.choice(["", "p"]),
            dispatcher="d",
            types=["a"],
            labels={"k": "v"},
            slots=3,
        )
        return lambda store: store.sessions.adopt(record)

    def ask_drain(self) -> Ask:
        session, generation = self.random.choice(self.sessions), self.random.randint(1, 3)
        return lambda store: store.sessions.drain(session, generation)

    def ask_sessions(self) -> Ask:
        session = self.random.choice(self.sessions)

        async def ask(store: TaskStore) -> object:
            held = await store.sessions.held(session)
            read = (await store.sessions.live(), await store.sessions.generations(self.sessions))
            first, place = await store.sessions.workers(None, None, 2)
            workers = (
                first,
                await store.sessions.workers(None, place, 9),
                await store.sessions.workers("other", None, 1),
            )
            return held, read, sorted(await store.sessions.running(self.sessions, -1.0)), workers

        return ask

    def ask_claim(self) -> Ask:
        bids, generations = self.bids(self.some())
        return lambda store: store.changes.claim(bids, generations)

    def ask_claim_heads(self) -> Ask:
        _, generations = self.bids([])
        session, lanes = self.random.choice(self.sessions), self.random.choice([["default/q/a/5/"], None])

        async def ask(store: TaskStore) -> object:
            quotas = dict.fromkeys(lanes or (await store.queued.lanes("", 100)).names, 2)

            def assign(heads: Any) -> list[Bid]:
                return [Bid(head.task_id, head.attempt, session) for head in heads if isinstance(head, Head)]

            return await store.changes.claim_heads(quotas, generations, assign) if quotas else None

        return ask

    def ask_apply(self) -> Ask:
        transitions = self.transitions()
        return lambda store: store.changes.apply(transitions)

    def ask_request_cancel(self) -> Ask:
        tasks = self.some()
        return lambda store: store.changes.request_cancel(tasks)

    def ask_progress(self) -> Ask:
        bids, _ = self.bids(self.some())
        return lambda store: store.changes.record_progress([(b.task_id, b.attempt, '{"fraction": 0.5}') for b in bids])

    def ask_attempts(self) -> Ask:
        task, size, after = (
            self.random.choice(self.tasks),
            self.random.choice([1, 2, 50]),
            self.random.choice([0, 0, 1]),
        )

        async def ask(store: TaskStore) -> object:
            entries = [(task, attempt) for attempt in range(4)]
            return await store.tasks.attempts(task, size, after), await store.changes.standings(entries)

        return ask

    def ask_still_queued(self) -> Ask:
        bids, _ = self.bids(self.some())
        return lambda store: store.changes.still_queued([(bid.task_id, bid.attempt) for bid in bids])

    def ask_outbox(self) -> Ask:
        rows = self.random.randint(0, 3)

        async def ask(store: TaskStore) -> object:
            ids, entries = await store.queued.unpublished(-1.0, 3)
            await store.queued.published(ids[:rows])
            backlog, _ = await store.queued.backlog()
            return len(ids), {lane: sorted(entries[lane]) for lane in entries}, backlog

        return ask

    def ask_page(self) -> Ask:
        wanted, size = self.filter(), self.random.randint(1, 9)
        after = self.random.choice([None, self.random.choice(self.tasks)])
        known = list(self.tasks)

        async def ask(store: TaskStore) -> object:
            page, weights = await store.tasks.page(wanted, size, after), await store.tasks.weights(known)
            return page, weights, await store.tasks.find_failed(wanted, size)

        return ask

    def ask_queued(self) -> Ask:
        middle, limit = self.random.choice(self.tasks), self.random.randint(1, 3)

        async def ask(store: TaskStore) -> object:
            lanes = (await store.queued.lanes()).names
            pages = await store.queued.pages(dict.fromkeys(lanes, middle), limit)
            return lanes, pages, await store.queued.counts(middle), await store.queued.settled_counts(lanes, 60.0)

        return ask

    def ask_queues(self) -> Ask:
        name, most = self.random.choice(["q", "r"]), self.random.choice([None, 7])
        policy = self.random.choice([None, RetryPolicy(max_attempts=4), RetryPolicy()])
        room = self.random.choice([1, 9])

        async def ask(store: TaskStore) -> object:
            await store.queues.register([("default", "q")])
            told = await store.queues.update("default", name, policy, most, room)
            waiting = await store.queues.waiting(100), await store.queues.limits()
            loads = sorted(await store.queues.loads(3), key=str)
            pages = [await store.queues.page(where, ("default", "q"), 2) for where in (None, "default", "none")]
            one = await store.queues.get("default", name), await store.queues.get("default", "none")
            listed = await store.queues.page(None, None, 9), await store.queues.fullest(1), one
            able = {
                (said.namespace, said.types, said.queues, tuple(sorted(said.labels.items())))
                for said in await store.sessions.capabilities(9)
            }
            return told, listed, pages, waiting, loads, able, await store.queues.retries()

        return ask

    def ask_lose(self) -> Ask:
        session, generation = self.random.choice(self.sessions), self.random.randint(1, 3)

        async def ask(store: TaskStore) -> object:
            async with store.transaction() as transaction:
                host = await transaction.end_session(session, generation, "lost")
                if host is None:
                    return None
                held = await transaction.held(session)
                seen = [(await store.tasks.decidable(row.task.task_id)) for row in held]
                lost = [decide(task.snapshot, Lost(), lambda: 0.5) for task in seen if task]
                return host, await transaction.apply(lost), await transaction.held(session)

        return ask

    def ask_duty(self) -> Ask:
        term, limit = self.random.randint(1, 4), self.random.randint(1, 9)
        due = self.random.random() < 0.5
        event: Event = Due() if due else Expired()

        async def ask(store: TaskStore) -> object:
            async with store.leader.duty(term) as transaction:
                lock = transaction.lock_due if due else transaction.lock_expired
                locked = await lock(limit)
                moved = await transaction.apply([decide(task.snapshot, event, lambda: 0.5) for task in locked])
                await transaction.note_lane_epoch(str(limit))
            return [task.lane for task in locked], moved, await store.leader.lane_epoch()

        return ask

    def ask_term(self) -> Ask:
        term = self.random.randint(1, 4)
        return lambda store: store.leader.begin(term, "d")

    def ask_redrive(self) -> Ask:
        wanted, purged = self.filter(), self.random.random() < 0.3

        async def ask(store: TaskStore) -> object:
            async with store.transaction() as transaction:
                failed = await transaction.lock_failed(wanted, 2)
                if purged:
                    await transaction.purge([task.snapshot.id for task in failed])
                    return failed
                return await transaction.apply([decide(task.snapshot, Redriven(), lambda: 0.5) for task in failed])

        return ask

    def ask_retention(self) -> Ask:
        keeping = Keeping(self.random.choice([-1.0, 60.0]), self.random.choice([-1.0, 60.0]))

        async def ask(store: TaskStore) -> object:
            page = await store.tasks.ended(FIRST, LAST, 3, keeping)
            async with store.transaction() as transaction:
                tasks = await transaction.delete_ended(page.ended, keeping)
                return page, tasks, await transaction.delete_sessions(keeping.ended, 1)

        return ask


async def answer(ask: Ask, store: TaskStore) -> object:
    try:
        return plain(await ask(store))
    except (NamespaceMismatch, TermOver) as error:
        return repr(error)


def plain(value: Any) -> Any:
    """Without times, which differ, and without an order where there is none."""
    if isinstance(value, float | datetime):
        return "some time"
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list) and all(isinstance(item, Claimed) for item in value):
        value = sorted(value)
    if hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, field) for field in value.__dataclass_fields__]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("seed", range(5))
async def test_both_answer_and_tell_the_same(database: Database, seed: int) -> None:
    async with database.connection() as connection:
        await connection.execute((files("chaos.history") / "audit.sql").read_text())
    postgres, memory, chance = PostgresYard(database), MemoryYard(), Chance(seed)
    done: dict[str, int] = {}
    for step in range(STEPS):
        verb, ask = chance.next()
        answers = await answer(ask, postgres.store), await answer(ask, memory.store)
        assert answers[1] == answers[0], f"step {step}: {verb}"
        done[verb] = done.get(verb, 0) + 1
        for task in chance.random.sample(chance.tasks, len(chance.tasks) // 2):
            if found := await memory.store.tasks.decidable(task):
                chance.seen[task] = found.snapshot
    assert set(done) == set(chance.verbs)
    assert told(memory) == await audited(database)


def told(memory: MemoryYard) -> dict[str, list[tuple[object, ...]]]:
    """What the observer heard, as the triggers would have noted it."""
    assert [change.seq for change in memory.changes] == list(range(1, len(memory.changes) + 1))
    tasks = [change for change in memory.changes if isinstance(change.new or change.old, TaskRow)]
    sessions = [change.new for change in memory.changes if isinstance(change.new, SessionRow)]
    leaders = [change for change in memory.changes if isinstance(change.new, LeaderRow)]
    return {
        "task": stories(_noted(change) for change in tasks if _worth_noting(change.old, change.new)),
        "session": [(s.id, s.generation, s.live, s.record.namespace, s.draining, s.end_reason) for s in sessions],
        "term": [(c.new.term, c.new.dispatcher) for c in leaders if c.old.term != c.new.term],
    }


def stories(noted: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """By task, each in order: the rows of one statement have none."""
    return sorted(noted, key=lambda row: str(row[0]))


def _noted(change: Change) -> tuple[object, ...]:
    row, old, new = change.new or change.old, change.old and change.old.state, change.new and change.new.state
    counts = row.attempt, row.failures, row.crashes
    return row.id, old, new, *counts, row.session, row.cancel_requested, change.term


def _worth_noting(old: TaskRow | None, new: TaskRow | None) -> bool:
    return old is None or new is None or old._replace(progress=None) != new._replace(progress=None)


async def audited(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """What the triggers noted."""
    tasks = await database.fetch(
        "SELECT task::text, old, new, attempt, failures, crashes, session::text, cancel_requested, term"
        " FROM taskyard_audit.task ORDER BY seq"
    )
    sessions = await database.fetch(
        "SELECT session::text, generation, live, namespace, draining, reason FROM taskyard_audit.session ORDER BY seq"
    )
    terms = await database.fetch("SELECT term, dispatcher FROM taskyard_audit.term WHERE term > 0 ORDER BY seq")
    return {"task": stories(map(tuple, tasks)), "session": [*map(tuple, sessions)], "term": [*map(tuple, terms)]}
