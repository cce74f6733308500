"""The command line: what it prints, where, and its exit codes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from taskyard._gen import task_pb2
from taskyard.cli.root import app
from tests.unit.sdk.stub import StubScheduler
from tests.unit.sdk.stub_dispatcher import StubDispatcher

Command = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
def taskyard(address: str) -> Command:
    async def run(*arguments: str, input: bytes | None = None, address: str = address) -> Result:
        environment = {"TASKYARD_ADDRESS": address, "TASKYARD_NAMESPACE": "tests", "NO_COLOR": "1"}
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, input=input, env=environment)

    return run


async def test_submit_and_get(taskyard: Command, stub: StubScheduler) -> None:
    submitted = await taskyard("task", "submit", "demo.echo", '{"a": 1}', "--timeout", "1h30m", "--delay", "500ms")
    assert (submitted.exit_code, submitted.stderr) == (0, "")
    shown = await taskyard("task", "get", submitted.stdout.strip(), "-o", "json")
    task = json.loads(shown.stdout)
    assert (task["payload"], task["timeout"], task["state"]) == ({"a": 1}, "5400s", "QUEUED")
    assert task["created_at"].endswith("Z")
    assert stub.batches[0].tasks[0].delay.ToMilliseconds() == 500
    table = await taskyard("task", "get", submitted.stdout.strip())
    assert "payload" in table.stdout
    assert '{"a":1}' in table.stdout


async def test_submit_as_json_tells_of_deduplication(taskyard: Command) -> None:
    arguments = ("task", "submit", "demo.echo", "--key", "k", "-o", "json")
    first, second = json.loads((await taskyard(*arguments)).stdout), json.loads((await taskyard(*arguments)).stdout)
    assert (first["id"], first["deduplicated"], second["deduplicated"]) == (second["id"], False, True)


async def test_payload_from_file_and_input_stays_as_written(
    taskyard: Command, stub: StubScheduler, tmp_path: Path
) -> None:
    document = b'{"big": 123456789012345678901234567890}'
    (tmp_path / "payload.json").write_bytes(document)
    assert (await taskyard("task", "submit", "demo.echo", f"@{tmp_path}/payload.json")).exit_code == 0
    assert (await taskyard("task", "submit", "demo.echo", "-", input=document)).exit_code == 0
    assert [task.payload for task in stub.tasks.values()] == [document, document]
    assert "123456789012345678901234567890" in (await taskyard("task", "get", "task-1", "-o", "json")).stdout
    assert "123456789012345678901234567890" in (await taskyard("task", "get", "task-1")).stdout


@pytest.mark.parametrize(
    ("arguments", "input", "complaint"),
    [
        (["-"], b"[" * 10_000 + b"]" * 10_000, "payload: is not UTF-8 JSON"),
        (["-"], b'"\xff"', "payload: is not UTF-8 JSON"),
        (["-"], b"", "payload: is not UTF-8 JSON"),
        (["hello"], None, "payload: is not UTF-8 JSON"),
        (["@/does/not/exist"], None, "/does/not/exist"),
        (["1", "--priority", "11"], None, "priority: must be 0 to 10"),
        (["1", "--delay", "-1s"], None, "delay: must not be negative"),
        (["1", "--delay", "soon"], None, "delay: 'soon' is not a duration"),
        (["1", "--delay", "\u0665s"], None, "delay: '\u0665s' is not a duration"),
        (["1", "--key", ""], None, "idempotency_key: must not be empty; leave it out for none"),
        (["1", "--priority", "1_0"], None, "'1_0' is not a whole number"),
        (["1", "--priority", "+5"], None, "'+5' is not a whole number"),
        (["1", "--priority", " 5"], None, "' 5' is not a whole number"),
        (["1", "--max-attempts", "\u0665"], None, "'\u0665' is not a whole number"),
        (["1", "--multiplier", "1_0.5"], None, "'1_0.5' is not a number"),
        (["1", "--jitter", "nan"], None, "'nan' is not a number"),
        (["1", "--delay", "99999999999d"], None, "delay: '99999999999d' is too long"),
        (["1", "--run-at", "2030-01-01T00:00:00"], None, "run_at: must be a datetime with a time zone"),
        (["1", "--run-at", "9999-12-31T23:59:59-05:00"], None, "run_at: must be between the years 1 and 9999"),
        (["1", "--expires-at", "0001-01-01T00:00:00+05:00"], None, "expires_at: must be between the years 1 and 9999"),
        (["1", "--run-at", "tomorrow"], None, "run_at: 'tomorrow' is not a time"),
        (["1", "--address", "nowhere:x"], None, "address: 'nowhere:x' is not host:port"),
        (["1", "--queue", "\udcff"], None, "queue: "),
        (["1", "--max-attempts", "99999999999"], None, "retry.max_attempts: "),
    ],
)
async def test_bad_input_names_the_field(
    taskyard: Command, stub: StubScheduler, arguments: list[str], input: bytes | None, complaint: str
) -> None:
    result = await taskyard("task", "submit", "demo.echo", *arguments, input=input)
    assert complaint in result.stderr
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.output
    assert not stub.tasks


async def test_waiting_prints_the_result(taskyard: Command, stub: StubScheduler) -> None:
    waiting = asyncio.create_task(taskyard("task", "submit", "demo.echo", "--wait"))
    await stub.watch_opened.acquire()
    await stub.end("task-1", result=b'{"sum":3}')
    assert (await waiting).stdout == '{"sum":3}\n'
    again = await taskyard("task", "wait", "task-1", "-o", "json")
    assert json.loads(again.stdout)["result"] == {"sum": 3}


async def test_waiting_for_a_failure(taskyard: Command, stub: StubScheduler) -> None:
    await taskyard("task", "submit", "demo.echo")
    await stub.end("task-1", task_pb2.TASK_STATE_FAILED)
    result = await taskyard("task", "wait", "task-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: task task-1 (demo.echo) failed: ValueError: no such town" in result.stderr


async def test_exit_codes(taskyard: Command, stub: StubScheduler) -> None:
    await taskyard("task", "submit", "demo.echo")
    assert (await taskyard("task", "get", "task-0")).exit_code == 3
    assert (await taskyard("task", "wait", "task-0")).exit_code == 3
    assert (await taskyard("task", "redrive", "task-1")).exit_code == 1
    assert (await taskyard("task", "wait", "task-1", "--timeout", "10ms")).exit_code == 5
    assert (await taskyard("task", "frob")).exit_code == 2
    full = await taskyard("task", "submit", "demo.echo", "--queue", "full")
    assert (full.exit_code, full.stderr) == (4, "error: queue full holds 10 tasks (try again in 1.5 s)\n")
    assert "Exit codes" in (await taskyard("--help")).stdout


async def test_lists(taskyard: Command, stub: StubScheduler) -> None:
    for _ in range(3):
        await taskyard("task", "submit", "demo.echo")
    assert len(json.loads((await taskyard("task", "list", "-o", "json", "--limit", "2")).stdout)["tasks"]) == 2
    assert len((await taskyard("task", "list", "--state", "queued")).stdout.splitlines()) == 4
    attempts = json.loads((await taskyard("task", "attempts", "task-1", "-o", "json")).stdout)["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["CRASHED", None]
    queues = json.loads((await taskyard("queue", "list", "-o", "json")).stdout)["queues"]
    assert (queues[0]["queued"], queues[0]["oldest_age"]) == (3, "0.5s")
    workers = json.loads((await taskyard("worker", "list", "-o", "json")).stdout)["workers"]
    assert [(worker["name"], worker["labels"]) for worker in workers] == [("w1", {"io": "ssd"}), ("w2", {})]
    cluster = json.loads((await taskyard("cluster", "status", "-o", "json")).stdout)
    assert (cluster["leader"]["id"], cluster["leader"]["term"]) == ("d1", 7)
    for words in (["task", "attempts", "task-1"], ["queue", "list"], ["worker", "list"], ["cluster", "status"]):
        assert (await taskyard(*words)).exit_code == 0


async def test_dead_letters(taskyard: Command, stub: StubScheduler) -> None:
    await taskyard("task", "submit", "demo.echo")
    await stub.end("task-1", task_pb2.TASK_STATE_FAILED)
    assert "ValueError: no such town" in (await taskyard("dlq", "list")).stdout
    redriven = await taskyard("dlq", "redrive", "--queue", "q", "--error-type", "E", "--dry-run", "-o", "json")
    assert json.loads(redriven.stdout) == {"count": 1, "ids": ["task-1"]}
    unasked = await taskyard("dlq", "purge")
    assert (unasked.exit_code, "--yes" in unasked.stderr) == (2, True)
    assert [request.dry_run for request in stub.purged] == [True]
    assert (await taskyard("dlq", "purge", "--yes")).stdout == "1 purged\ntask-1\n"
    assert (await taskyard("dlq", "purge", "--dry-run")).stdout == "1 would be purged\ntask-1\n"


async def test_control_characters_stay_out_of_the_terminal(taskyard: Command, stub: StubScheduler) -> None:
    await taskyard("task", "submit", "demo.echo")
    await stub.end("task-1", task_pb2.TASK_STATE_FAILED)
    stub.tasks["task-1"].error.message = "\x1b[31mred\nsecond line"
    shown = (await taskyard("dlq", "list")).stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


async def run_process(*arguments: str, cwd: Path) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskyard.cli", *arguments, cwd=cwd, stdout=-1, stderr=-1
    )
    stdout, stderr = await process.communicate()
    return process.returncode, stdout.decode(), stderr.decode()


async def test_as_a_process(address: str, tmp_path: Path) -> None:
    code, stdout, stderr = await run_process("task", "submit", "demo.echo", "--address", address, cwd=tmp_path)
    assert (code, stdout, stderr) == (0, "task-1\n", "")
    code, stdout, stderr = await run_process("task", "get", "x", "--address", "127.0.0.1:1", cwd=tmp_path)
    assert (code, stdout) == (4, "")
    assert stderr.startswith("error: can't reach 127.0.0.1:1")


async def test_flags_win_over_what_a_workers_code_says(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(
        "from taskyard.worker import Worker\n"
        "class Shown(Worker):\n"
        "    def run(self):\n"
        "        settings = self._settle()\n"
        "        print(settings.dispatchers, settings.name, dict(settings.labels), settings.slots, settings.grace)\n"
        "worker = Shown('c:3', labels={'io': 'hdd', 'gpu': 'no'}, slots=9)\n"
        "@worker.task('x')\n"
        "def x(payload): ...\n"
    )
    options = [
        "--dispatchers",
        "a:1,b:2",
        "--name",
        "w",
        "--label",
        "io=ssd",
        "--label",
        "zone=eu",
        "--slots",
        "3",
        "--grace",
        "90",
    ]
    assert await run_process("worker", "run", "jobs:worker", *options, cwd=tmp_path) == (
        0,
        "('a:1', 'b:2') w {'io': 'ssd', 'gpu': 'no', 'zone': 'eu'} 3 90.0\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nothing"], "target: 'nothing' is not MODULE:ATTRIBUTE"),
        (["no_such_module_at_all:worker"], "target: there is no module 'no_such_module_at_all'"),
        (["json:worker"], "target: 'json' has no 'worker'"),
        (["json:dumps"], "target: 'json:dumps' is not a Worker"),
        (["json:dumps", "--label", "io"], "label: 'io' is not KEY=VALUE"),
    ],
)
async def test_worker_run_refuses(taskyard: Command, arguments: list[str], complaint: str) -> None:
    result = await taskyard("worker", "run", *arguments)
    assert (result.exit_code, complaint in result.stderr) == (2, True)


SHELL_CASES = {
    "closed input": ("task submit demo.echo - <&-", 2, "", "error: standard input is closed\n"),
    "nobody to ask": ("dlq purge <&-", 2, "", "error: purging needs --yes where nobody can be asked\n"),
    "closed output": ("task get task-1 >&-", 0, "", ""),
    "closed output, as JSON": ("task get task-1 -o json >&-", 0, "", ""),
    "closed errors": ("task get nothing 2>&-", 3, "", ""),
    "all closed": ("task get nothing <&- >&- 2>&-", 3, "", ""),
    "a reader that goes away": ("task list | true; exit ${PIPESTATUS[0]}", 141, "", ""),
    "a reader that goes away, as JSON": ("task list -o json | true; exit ${PIPESTATUS[0]}", 141, "", ""),
}


@pytest.mark.parametrize("name", SHELL_CASES)
async def test_whatever_the_shell_has_done_to_its_streams(
    taskyard: Command, address: str, tmp_path: Path, name: str
) -> None:
    await taskyard("task", "submit", "demo.echo")
    command, code, stdout, stderr = SHELL_CASES[name]
    script = f"{sys.executable} -m taskyard.cli {command}"
    environment = {**os.environ, "TASKYARD_ADDRESS": address, "TASKYARD_NAMESPACE": "tests"}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=tmp_path, env=environment, stdout=-1, stderr=-1
    )
    told = await process.communicate()
    assert (process.returncode, told[0].decode(), told[1].decode()) == (code, stdout, stderr)


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, '"ü ?"'.encode("latin-1")),
        ({"PYTHONIOENCODING": "cp1252"}, '"ü ?"'.encode("cp1252")),
        # ASCII is taken for a set-up that nobody meant.
        ({"PYTHONIOENCODING": "ascii"}, '"ü 日"'.encode()),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, '"ü 日"'.encode()),
        ({"LC_ALL": "C.UTF-8"}, '"ü 日"'.encode()),
    ],
)
async def test_any_terminal_shows_what_it_can(
    address: str, stub: StubScheduler, tmp_path: Path, variables: dict[str, str], shown: bytes
) -> None:
    environment = {**os.environ, **variables, "TASKYARD_ADDRESS": address, "TASKYARD_NAMESPACE": "tests"}

    async def run(*arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "taskyard.cli", *arguments, cwd=tmp_path, env=environment, stdout=-1, stderr=-1
        )
        stdout, stderr = await process.communicate()
        assert (process.returncode, stderr) == (0, b"")
        return stdout

    # What is given arrives whole, whatever the terminal can show.
    await run("task", "submit", "demo.echo", '"ü 日"', "--key", "ü 日")
    (task,) = stub.tasks.values()
    assert (task.payload.decode(), task.idempotency_key) == ('"ü 日"', "ü 日")
    assert shown in await run("task", "get", "task-1")
    assert '"ü 日"'.encode() in await run("task", "get", "task-1", "-o", "json")


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("raise ConnectionRefusedError(111, 'Connection refused')", "ended with ConnectionRefusedError: [Errno 111]"),
        ("import sys; sys.exit(3)", "ended with SystemExit: 3"),
        ("raise SystemExit", "ended with SystemExit: "),
        ("import no_such_module_at_all", "ended with ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("1 +", "ended with SyntaxError: "),
        ("e = SyntaxError('x'); e.text = 5; raise e", "ended with SyntaxError: x"),
    ],
)
async def test_a_module_that_fails_shows_where(tmp_path: Path, code: str, complaint: str) -> None:
    (tmp_path / "jobs.py").write_text(f"\n{code}\n")
    exit_code, stdout, stderr = await run_process("worker", "run", "jobs:worker", cwd=tmp_path)
    assert (exit_code, stdout) == (2, "")
    *trace, last = stderr.splitlines()
    assert f"importing 'jobs' {complaint}" in last
    assert any("jobs.py" in line for line in trace)
    assert not any("importlib" in line for line in trace)


@pytest.mark.parametrize("own", [False, True])
async def test_a_worker_tells_what_it_serves_and_where(tmp_path: Path, dispatcher: StubDispatcher, own: bool) -> None:
    setup = "import logging\nlogging.basicConfig(level='WARNING')\n" if own else ""
    (tmp_path / "jobs.py").write_text(
        f"{setup}from taskyard.worker import Worker\nworker = Worker()\nworker.task('x')(lambda payload: payload)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskyard.cli", "worker", "run", "jobs:worker", "--dispatchers", dispatcher.address),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    stream = await asyncio.to_thread(dispatcher.accept, welcome=False)
    stream.welcome(heartbeat=0.1)
    await asyncio.to_thread(stream.wait_for, lambda: stream.heartbeats() > 0)
    process.terminate()
    _, stderr = await process.communicate()
    assert process.returncode == 0
    if own:
        assert stderr == b""
        return
    told = json.loads(stderr.splitlines()[0])
    assert told["message"].startswith("worker ")
    assert told["message"].endswith(f" serves x (100 slots) at dispatcher stub at {dispatcher.address}")
    assert (told["level"], told["types"], told["slots"], told["address"]) == ("INFO", ["x"], 100, dispatcher.address)


def test_logging_that_is_set_up_late_has_each_line_once() -> None:
    code = (
        "import logging; from taskyard.worker.log import show_log; show_log(); "
        "log = logging.getLogger('taskyard.worker'); log.info('early'); "
        "logging.basicConfig(level='INFO', format='own %(message)s'); log.info('late')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    early, late = ran.stderr.splitlines()
    assert json.loads(early)["message"] == "early"
    assert late == "own late"


async def test_wrong_settings_of_a_worker_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(
        "from taskyard.worker import Worker\nworker = Worker(processes=-2)\nworker.task('x')(lambda payload: payload)\n"
    )
    code, stdout, stderr = await run_process("worker", "run", "jobs:worker", cwd=tmp_path)
    assert (code, stdout, stderr) == (2, "", "error: processes must be 1 to 10000, got -2\n")


@pytest.mark.parametrize(
    "arguments", ["task get", "task wait", "task cancel", "task attempts", "task list --type", "queue list --namespace"]
)
async def test_arguments_that_are_not_utf8_are_named(taskyard: Command, stub: StubScheduler, arguments: str) -> None:
    result = await taskyard(*arguments.split(), "a\udcff")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'a\\udcff' is not " in result.stderr
    assert "Traceback" not in result.output
