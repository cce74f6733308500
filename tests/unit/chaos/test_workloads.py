"""What workloads need to be true of themselves: pace, payloads, workers for every task, honest records."""

import asyncio
import random
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from chaos.checks.selector import holds
from chaos.history.events import Phase, encoded
from chaos.history.journal import Journal
from chaos.workloads import FLEET, MIX, WORKLOADS, Stage, workload
from chaos.workloads.deeds import DEEDS
from chaos.workloads.performance import TYPES, digest_of, result
from chaos.workloads.rate_limit import RateLimit
from chaos.workloads.recorder import phase_of
from chaos.workloads.rows import AMONG, HONEST, ROWS
from chaos.workloads.stream import Stream
from taskyard import Client, TaskRequest, _json, errors
from taskyard.worker.outcome import MAX_RESULT_BYTES

RESULTS = Path(__file__).parents[3] / "chaos" / "workers" / "results.json"


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    """A stage whose client nobody calls."""
    return Stage(
        client=cast("Client", None),
        journal=Journal(tmp_path / "c.jsonl"),
        rate=100,
        stop=asyncio.Event(),
        draw=random.Random(1),
        clock=lambda: 0.0,
        database=lambda: "",
    )


def _requests(stage: Stage, name: str) -> list[TaskRequest]:
    load = workload(name)
    assert isinstance(load, Stream)
    return [request for _ in range(40) for request in load.requests(stage, 10)]


@pytest.mark.parametrize("name", WORKLOADS)
async def test_every_task_has_a_handler_a_worker_and_an_expected_end(stage: Stage, name: str) -> None:
    load = cast("Stream", workload(name))
    for request in _requests(stage, name):
        assert request.type in TYPES
        assert request.type in load.expected
        queue = request.queue or "default"
        assert any(queue in group.queues and holds(request.selector, group.labels) for group in FLEET)


@pytest.mark.parametrize("name", sorted(WORKLOADS.keys() - {"keyed"}))
async def test_no_two_payloads_are_alike(stage: Stage, name: str) -> None:
    payloads = [encoded(request.payload) for request in _requests(stage, name)]
    assert len(set(payloads)) == len(payloads)


async def test_large_payloads_end_at_the_limit_or_one_byte_beyond(stage: Stage) -> None:
    sizes = {len(orjson.dumps(request.payload)) for request in _requests(stage, "large")}
    assert sizes == {50_000, 256 * 1024, 256 * 1024 + 1}


async def test_large_results_end_at_the_limit(stage: Stage) -> None:
    payloads = [cast("dict[str, object]", request.payload) for request in _requests(stage, "large")]
    asked = next(payload for payload in payloads if "returns" in payload)
    assert len(encoded(result(asked, 1))) == asked["returns"] == MAX_RESULT_BYTES


async def test_each_deed_and_each_row_comes_among_others(stage: Stage) -> None:
    assert {request.type for request in _requests(stage, "hostile")} == DEEDS.keys()
    keys = [(request.idempotency_key or "").partition(" ")[2] for request in _requests(stage, "rows")]
    assert set(keys) == ROWS.keys()
    assert keys.count(HONEST) == AMONG * (len(keys) - keys.count(HONEST))


def test_integers_beyond_64_bits_are_told_as_the_sdk_sends_them() -> None:
    document = {"number": 2**64 + 1, "token": "é", "nested": [{}, None, True]}
    assert encoded(document) == _json.dumps(document)


def test_the_mix_knows_all_workloads() -> None:
    assert MIX.keys() == WORKLOADS.keys()
    assert workload("mix").name == "mix"
    assert workload("plain=9,large=1").name == "plain=9,large=1"
    with pytest.raises(KeyError):
        workload("nothing")


async def test_a_pace_keeps_its_rate_and_makes_nothing_up() -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = RateLimit(20, clock=lambda: now, sleep=sleep)
    for _ in range(100):
        await pace.turn()
    assert pace.batch == 10
    assert now == pytest.approx(50, abs=1)
    now += 60  # an outage
    before = now
    for _ in range(10):
        await pace.turn()
    assert now - before == pytest.approx(4.5, abs=0.6)


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        (errors.InvalidArgument("m"), Phase.FAILED),
        (errors.IdempotencyConflict("m", task_id="t"), Phase.FAILED),
        (errors.BacklogFull("m"), Phase.FAILED),
        (errors.Unavailable("m"), Phase.FAILED),
        (errors.Unavailable("m", outcome_unknown=True), Phase.UNKNOWN),
        (errors.DeadlineExceeded("m", outcome_unknown=True), Phase.UNKNOWN),
        (errors.ServerError("m"), Phase.UNKNOWN),
    ],
)
def test_only_what_is_surely_not_done_has_failed(error: errors.TaskyardError, phase: Phase) -> None:
    assert phase_of(error) is phase


@pytest.mark.parametrize("example", orjson.loads(RESULTS.read_bytes()), ids=lambda example: example["of"])
def test_results_are_those_that_workers_in_other_languages_are_held_to(example: dict[str, Any]) -> None:
    returned = result(example["payload"], example["attempt"])
    assert len(encoded(returned)) == example["bytes"]
    assert digest_of(returned) == example["digest"]
