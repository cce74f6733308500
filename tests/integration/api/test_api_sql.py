"""`taskyard.submit` refuses what both APIs refuse, in the same words, and needs no right but its own."""

import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from taskyard_core.domain import limits, selectors
from taskyard_core.domain.violations import Violation
from taskyard_core.storage.postgres.database import Database
from taskyard_core.wire.gen import task_pb2, task_service_pb2
from tests.integration.api.conftest import Api, refused
from tests.integration.api.stage import Stage

DEEP = "[" * 65 + "]" * 65

# What is given over gRPC, over REST and to the function, as SQL.
BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no type": ({"type": ""}, {"type": ""}, "type => ''"),
    "null type": ({"type": ""}, {"type": None}, "type => NULL"),
    "odd type": ({"type": "a b"}, {"type": "a b"}, "type => 'a b'"),
    "slash in type": ({"type": "a/b"}, {"type": "a/b"}, "type => 'a/b'"),
    "letter of another alphabet": ({"type": "é"}, {"type": "é"}, "type => 'é'"),
    "long type": ({"type": "t" * 129}, {"type": "t" * 129}, "type => repeat('t', 129)"),
    "odd queue": ({"queue": "q\n"}, {"queue": "q\n"}, "queue => E'q\\n'"),
    "long queue": ({"queue": "q" * 64}, {"queue": "q" * 64}, "queue => repeat('q', 64)"),
    "odd namespace": ({"namespace": "-n"}, {"namespace": "-n"}, "namespace => '-n'"),
    "priority above": ({"priority": 11}, {"priority": 11}, "priority => 11"),
    "priority below": ({"priority": -1}, {"priority": -1}, "priority => -1"),
    "deep payload": ({"payload": DEEP.encode()}, {"payload": json.loads(DEEP)}, f"payload => '{DEEP}'"),
    "long payload": (
        {"payload": json.dumps("x" * 262143).encode()},
        {"payload": "x" * 262143},
        "payload => to_jsonb(repeat('x', 262143))",
    ),
    "control in selector": ({"selector": "io=a\x01"}, {"selector": "io=a\x01"}, "selector => E'io=a\\x01'"),
    "no selector": ({"selector": "=a"}, {"selector": "=a"}, "selector => '=a'"),
    "empty term": ({"selector": "io=ssd,,"}, {"selector": "io=ssd,,"}, "selector => 'io=ssd,,'"),
    "no bound": ({"selector": "gb>=x"}, {"selector": "gb>=x"}, "selector => 'gb>=x'"),
    "long label": ({"selector": "k" * 64}, {"selector": "k" * 64}, "selector => repeat('k', 64)"),
    "long selector": ({"selector": "k,v," * 300}, {"selector": "k,v," * 300}, "selector => repeat('k,v,', 300)"),
    "many terms": (
        {"selector": ",".join(f"k{n}" for n in range(33))},
        {"selector": ",".join(f"k{n}" for n in range(33))},
        "selector => (SELECT string_agg('k' || n, ',') FROM generate_series(0, 32) n)",
    ),
    "control in key": ({"idempotency_key": "a\nb"}, {"idempotency_key": "a\nb"}, "idempotency_key => E'a\\nb'"),
    "mark in key": (
        {"idempotency_key": "a\u202eb"},
        {"idempotency_key": "a\u202eb"},
        "idempotency_key => E'a\\u202eb'",
    ),
    "long key": ({"idempotency_key": "é" * 129}, {"idempotency_key": "é" * 129}, "idempotency_key => repeat('é', 129)"),
    "run_at before 1970": (
        {"run_at": Timestamp(seconds=-1)},
        {"run_at": "1970-01-01T00:00:00+14:00"},
        "run_at => '1969-12-31T23:59:59Z'",
    ),
    "run_at in year 1": (
        {"run_at": Timestamp(seconds=-62135596800)},
        {"run_at": "0001-01-01T00:00:00+14:00"},
        "run_at => '-infinity'",
    ),
    "run_at in year 9999": (
        {"run_at": Timestamp(seconds=253402300799)},
        {"run_at": "9999-12-31T23:59:59-14:00"},
        "run_at => '20000-01-01Z'",
    ),
    "expires_at in year 9001": (
        {"expires_at": Timestamp(seconds=221876928000)},
        {"expires_at": "9000-12-31T23:59:59-14:00"},
        "expires_at => 'infinity'",
    ),
    "no timeout": ({"timeout": Duration()}, {"timeout": "0s"}, "timeout => '0 s'"),
    "negative timeout": ({"timeout": Duration(seconds=-3600)}, {"timeout": "-3600s"}, "timeout => '-1 hour'"),
    "long timeout": ({"timeout": Duration(seconds=2592001)}, {"timeout": "2592001s"}, "timeout => '2592001 s'"),
}


async def words_of_sql(database: Database, arguments: str) -> str:
    given = "type => 't', " if not arguments.startswith("type") else ""
    with pytest.raises(asyncpg.InvalidParameterValueError) as caught:
        await database.fetch(f"SELECT taskyard.submit({given}{arguments})")
    return str(caught.value)


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_value_is_refused_in_the_same_words_whichever_way_it_comes(
    api: Api, database: Database, stage: Stage, case: str
) -> None:
    message, document, arguments = BAD[case]
    before = await stage.count("task")
    spec = task_pb2.TaskSpec(**{"type": "t", **message})
    grpc = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    rest = (await api.http.post("/v1/tasks", json={"type": "t", **document})).json()
    sql = await words_of_sql(database, arguments)
    assert (grpc.message, rest["detail"]) == (f"task.{sql}", sql)
    (outcome,) = (await api.tasks.SubmitTasks(task_service_pb2.SubmitTasksRequest(tasks=[spec]))).results
    assert outcome.error.message == f"tasks[0].{sql}"
    assert await stage.count("task") == before


async def test_an_infinite_timeout_is_too_long(database: Database) -> None:
    major = int((await database.fetch("SELECT current_setting('server_version_num')::int / 10000"))[0][0])
    if major >= 17:
        assert await words_of_sql(database, "timeout => 'infinity'") == "timeout: longer than 2592000 seconds"
        assert await words_of_sql(database, "timeout => '-infinity'") == "timeout: must not be negative"


@pytest.mark.parametrize("number", ["1e400", "-1e309", "1.7976931348623159e308"])
async def test_a_number_that_no_float_can_hold_is_refused(api: Api, database: Database, number: str) -> None:
    spec = task_pb2.TaskSpec(type="t", payload=f'{{"n": [{number}]}}'.encode())
    grpc = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    sql = await words_of_sql(database, f"""payload => '{{"n": [{number}]}}'""")
    assert grpc.message.startswith(f"task.{sql}")


@pytest.mark.parametrize(
    "arguments",
    [
        "payload => to_jsonb(repeat('9', 400))",
        "payload => '[1.7976931348623157e308, -1.7976931348623157e308, 1e-400]'",
        f"payload => '{'[' * 64 + ']' * 64}'",
        "payload => NULL, queue => '', namespace => NULL, priority => NULL, selector => NULL, idempotency_key => NULL",
        "run_at => '1970-01-01Z', expires_at => '9000-12-31T23:59:59Z', timeout => '30 days'",
        "idempotency_key => E'caf\\u00e9 \\U0001f600'",
    ],
)
async def test_what_the_api_takes_is_taken_by_sql(api: Api, database: Database, arguments: str) -> None:
    task_id = str((await database.fetch(f"SELECT taskyard.submit('t', {arguments})"))[0][0])
    assert (await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=task_id))).type == "t"
    assert (await api.http.get(f"/v1/tasks/{task_id}")).status_code == 200


_LABELS = st.sampled_from(["io", "a.b/c-d", "in", "notin", "k" * 63, "k" * 64, "-a", "Z9", "é"])
_VALUES = st.sampled_from(["a", "b", "ssd", "1:2+3", "x-", "7", "007", "ä", "A"])
_BLANKS = st.sampled_from(["", "", " ", "\t", "\n ", "\x0b", "\u00a0"])
_TERMS = st.one_of(
    st.tuples(_LABELS, _BLANKS, st.sampled_from(["=", "==", "!=", "===", ">", "<="]), _BLANKS, _VALUES),
    st.tuples(
        _LABELS, _BLANKS, st.just(">="), _BLANKS, st.sampled_from(["1", "-0", "007", "9" * 18, "9" * 19, "x", ""])
    ),
    st.tuples(st.sampled_from(["", "!", "!!"]), _BLANKS, _LABELS),
    st.tuples(
        _LABELS,
        _BLANKS,
        st.sampled_from(["in", "notin", "IN"]),
        _BLANKS,
        st.just("("),
        st.lists(st.tuples(_BLANKS, _VALUES, _BLANKS).map("".join), max_size=4).map(",".join),
        st.sampled_from([")", ")", ""]),
    ),
).map("".join)
_SELECTORS = st.one_of(
    st.lists(st.tuples(_BLANKS, _TERMS, _BLANKS).map("".join), max_size=5).map(",".join),
    st.text(st.sampled_from("ab1=!<>,() \t\n-._/:+in\u00e9\x01"), max_size=30),
)


def canonical(selector: str) -> str:
    try:
        return selectors.canonical(selector)
    except Violation as violation:
        return str(violation)


async def canonical_in_sql(database: Database, chosen: list[str]) -> list[str]:
    answers: list[str] = []
    async with database.connection() as connection:
        for selector in chosen:
            try:
                answers.append(await connection.fetchval("SELECT taskyard.canonical_selector($1)", selector))
            except asyncpg.InvalidParameterValueError as error:
                answers.append(str(error))
    return answers


async def test_sql_reads_selectors_as_the_api_does(database: Database) -> None:
    chosen: list[str] = []

    @hypothesis_settings(max_examples=400, suppress_health_check=list(HealthCheck), database=None)
    @given(_SELECTORS)
    def choose(selector: str) -> None:
        chosen.append(selector)

    choose()
    known = ["", "a in (b,a,b), c", "b,a,a", "a=1,a!=1,a,!a,a>=1,a in (1,2),a notin (2,1)", "in in (in)", ",", "a,,b"]
    chosen = list(dict.fromkeys(known + chosen))
    told = await canonical_in_sql(database, chosen)
    assert dict(zip(chosen, told, strict=True)) == {selector: canonical(selector) for selector in chosen}
    # Not only what both refuse; how many, chance decides.
    assert sum(not words.startswith("selector: ") for words in told) > len(known)


async def test_what_is_stored_is_the_one_spelling(api: Api, database: Database) -> None:
    row = await database.fetch("SELECT taskyard.submit('t', selector => ' gpu,io in (b, a)')")
    assert (await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=str(row[0][0])))).selector == "gpu,io in (a,b)"


async def test_a_key_used_for_another_request_is_refused_in_the_same_words(
    api: Api, database: Database, namespace: str
) -> None:
    call = f"SELECT taskyard.submit('t', namespace => '{namespace}', idempotency_key => 'k', timeout => '{{}} s')"
    first = (await database.fetch(call.format(5)))[0][0]
    assert (await database.fetch(call.format(5)))[0][0] == first
    spec = task_pb2.TaskSpec(type="t", namespace=namespace, idempotency_key="k")
    refusal = await refused(api.tasks.SubmitTask(task_service_pb2.SubmitTaskRequest(task=spec)))
    with pytest.raises(asyncpg.UniqueViolationError) as caught:
        await database.fetch(call.format(6))
    assert str(caught.value) == refusal.message


async def test_a_role_may_submit_with_that_right_alone(
    api: Api, database: Database, as_superuser: Callable[[str], str]
) -> None:
    owner = await asyncpg.connect(as_superuser(api.postgres_url))
    submitter = await asyncpg.connect(as_superuser(api.postgres_url))
    try:
        await owner.execute("CREATE ROLE submitter; GRANT USAGE ON SCHEMA taskyard TO submitter")
        await submitter.execute("SET ROLE submitter")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await submitter.fetchval("SELECT taskyard.submit('t')")
        await owner.execute("GRANT EXECUTE ON FUNCTION taskyard.submit TO submitter")
        # Tables of its own, before ours on its search path, lead the function nowhere.
        await submitter.execute("CREATE TEMP TABLE outbox (task_ids uuid[]); SET search_path = pg_temp, taskyard")
        task_id = await submitter.fetchval("SELECT taskyard.submit('t', selector => 'io=ssd', idempotency_key => 'r')")
        assert await submitter.fetchval("SELECT count(*) FROM pg_temp.outbox") == 0
        for forbidden in ("SELECT FROM taskyard.task", "DELETE FROM taskyard.task", "SELECT FROM taskyard.idempotency"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await submitter.execute(forbidden)
    finally:
        await submitter.close()
        await owner.execute("DROP OWNED BY submitter; DROP ROLE submitter")
        await owner.close()
    assert (await api.tasks.GetTask(task_service_pb2.GetTaskRequest(id=str(task_id)))).selector == "io=ssd"


async def test_the_limits_in_sql_are_those_of_the_domain(database: Database) -> None:
    (row,) = await database.fetch(
        "SELECT pg_get_functiondef('taskyard.submit'::regproc) AS submit,"
        " pg_get_functiondef('taskyard.canonical_selector'::regproc) AS selector"
    )
    for limit in (
        limits.PAYLOAD_BYTES,
        limits.TYPE_LENGTH,
        limits.NAME_LENGTH,
        limits.KEY_BYTES,
        int(limits.TIMEOUT_SECONDS),
    ):
        assert str(limit) in row["submit"]
    assert f"**{{{limits.JSON_DEPTH}}}" in row["submit"]
    for limit in (limits.SELECTOR_LENGTH, limits.SELECTOR_TERMS, limits.LABEL_KEY_LENGTH):
        assert str(limit) in row["selector"]
