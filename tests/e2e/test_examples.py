"""The examples, and what the documentation tells to type, do what is said of them."""

import asyncio
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import wave
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio

from examples import checkout, media
from taskyard import RetryPolicy, TaskFailed
from taskyard.testing import run_task
from tests.e2e.dev_cluster import DevCluster, dev_cluster
from tests.e2e.eventually import eventually

ROOT = Path(__file__).parents[2]
LOCAL = "http://localhost:8080"

_SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevCluster]:
    directory = tmp_path_factory.mktemp("examples") / "cluster"
    async with dev_cluster(directory, "--dispatchers", "1", "--workers", "1") as cluster:
        await cluster.whole()
        yield cluster


@pytest.fixture(scope="module")
def environment(small_cluster: DevCluster) -> dict[str, str]:
    """How a program finds the cluster."""
    return {
        **os.environ,
        "TASKYARD_ADDRESS": small_cluster.addresses("scheduler-1")["grpc"],
        "TASKYARD_DISPATCHERS": small_cluster.addresses("dispatcher-1")["session"],
        "TASKYARD_POSTGRES_URL": small_cluster.addresses("postgres")["url"],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hello_worker(small_cluster: DevCluster, environment: dict[str, str]) -> AsyncIterator[None]:
    program = ROOT / "examples/hello_worker.py"
    worker = await asyncio.create_subprocess_exec(sys.executable, str(program), env=environment)

    async def is_connected() -> bool:
        assert worker.returncode is None
        found = (await small_cluster.get("/v1/workers"))["workers"]
        return any(listed["pid"] == worker.pid for listed in found)

    try:
        await eventually(is_connected, within=20)
        yield
    finally:
        if worker.returncode is None:
            worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 30) == 0


@asynccontextmanager
async def program(
    *command: str, environment: dict[str, str], ready: Callable[[int], Awaitable[bool]]
) -> AsyncIterator[None]:
    """A program that runs until the test has what it wants, and then has to end well."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, env=environment, cwd=ROOT)

    async def is_ready() -> bool:
        assert process.returncode is None
        return await ready(process.pid)

    try:
        await eventually(is_ready, within=30)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        # uvicorn ends in order, and then by the signal all the same.
        assert await asyncio.wait_for(process.wait(), 30) in (0, -signal.SIGTERM)


@asynccontextmanager
async def sample_worker(cluster: DevCluster, name: str, environment: dict[str, str]) -> AsyncIterator[None]:
    async def is_connected(pid: int) -> bool:
        return any(listed["pid"] == pid for listed in (await cluster.get("/v1/workers"))["workers"])

    command = ("taskyard.cli", "worker", "run", f"examples.{name}:worker")
    async with program(*command, environment=environment, ready=is_connected):
        yield


async def output_of(*command: str, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return said.decode().strip()


async def run_example(name: str, environment: dict[str, str]) -> str:
    return await output_of(sys.executable, str(ROOT / "examples" / name), environment=environment)


def commands(page: str, program: str) -> Iterator[list[str]]:
    """What a page tells to type of one program, word by word."""
    for block in _SHELL.findall((ROOT / page).read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(os.path.expandvars(line), comments=True)
            if words and words[0] == program:
                yield words


async def as_curl_would(rest: httpx.AsyncClient, words: list[str]) -> httpx.Response:
    method, url, body, headers = "", "", None, {}
    rest_of_words = iter(words[1:])
    for word in rest_of_words:
        match word:
            case "-X":
                method = next(rest_of_words)
            case "-H":
                name, _, value = next(rest_of_words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(rest_of_words)
            case _:
                assert word.startswith(LOCAL), word
                url = word.removeprefix(LOCAL)
    return await rest.request(method or ("POST" if body else "GET"), url, content=body, headers=headers)


@pytest.mark.usefixtures("hello_worker")
async def test_submit_prints_the_result_and_a_second_run_finds_the_first_task(environment: dict[str, str]) -> None:
    first = await run_example("submit.py", environment)
    second = await run_example("submit.py", environment)
    assert first.endswith("new\nHello Lyon, from attempt 1")
    assert second == first.replace("new", "deduplicated")


@pytest.mark.usefixtures("hello_worker")
async def test_the_order_and_its_task_are_committed_together(
    small_cluster: DevCluster, environment: dict[str, str]
) -> None:
    task_id = await run_example("transactional_enqueue.py", environment)
    assert await small_cluster.client.result(task_id, timeout=30) == "Hello Lyon, from attempt 1"
    task = await small_cluster.client.get(task_id)
    assert task.idempotency_key == "order-1"


async def test_a_task_submitted_in_a_transaction_that_fails_does_not_exist(
    small_cluster: DevCluster, environment: dict[str, str]
) -> None:
    connection = await asyncpg.connect(environment["TASKYARD_POSTGRES_URL"])
    try:
        transaction = connection.transaction()
        await transaction.start()
        task_id = await connection.fetchval("SELECT taskyard.submit('town.greet')")
        await transaction.rollback()
    finally:
        await connection.close()
    assert (await small_cluster.rest.get(f"/v1/tasks/{task_id}")).status_code == 404


@pytest.mark.usefixtures("hello_worker")
async def test_the_readmes_curl_and_command_line_submit(small_cluster: DevCluster, environment: dict[str, str]) -> None:
    (curl,) = commands("README.md", "curl")
    submitted = await as_curl_would(small_cluster.rest, curl)
    assert submitted.status_code == 201
    task_id = submitted.json()["id"]
    waited = (await small_cluster.rest.get(f"/v1/tasks/{task_id}?wait=30s")).json()
    assert waited["result"] == "Hello Lyon, from attempt 1"
    (line,) = commands("README.md", "taskyard")
    said = await output_of(sys.executable, "-m", "taskyard.cli", *line[1:], environment=environment)
    assert said == '"Hello Lyon, from attempt 1"'


async def test_every_verb_that_the_command_lines_page_shows_works(environment: dict[str, str]) -> None:
    for line in commands("docs/cli.md", "taskyard"):
        await output_of(sys.executable, "-m", "taskyard.cli", *line[1:], environment=environment)


async def test_every_curl_that_the_apis_page_shows_is_answered(
    small_cluster: DevCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = small_cluster.client
    done = await client.submit("demo.echo", 1)
    delayed = await client.submit("demo.echo", delay=3600)
    failed = await client.submit("demo.fail", {"message": "no"}, retry=RetryPolicy(max_attempts=1))
    with pytest.raises(TaskFailed):
        await failed.result(timeout=30)
    for name, handle in (("ID", done), ("DELAYED", delayed), ("FAILED", failed)):
        monkeypatch.setenv(name, handle.id)
    shown = list(commands("docs/api.md", "curl"))
    assert len(shown) > 10
    for words in shown:
        answer = await as_curl_would(small_cluster.rest, words)
        assert answer.status_code in (200, 201), (words, answer.text)


async def sample(name: str, *arguments: str, environment: dict[str, str]) -> list[str]:
    said = await output_of(sys.executable, "-m", f"examples.{name}", *arguments, environment=environment)
    return said.splitlines()


@pytest.mark.usefixtures("hello_worker")
async def test_hello_defined_once(environment: dict[str, str]) -> None:
    assert await sample("hello", environment=environment) == ["Hello Lyon, from attempt 1"]


async def test_checkout_charges_once(small_cluster: DevCluster, environment: dict[str, str], tmp_path: Path) -> None:
    environment = {**environment, "SHOP_LEDGER": str(tmp_path / "ledger.db")}
    async with sample_worker(small_cluster, "checkout", environment):
        said = await sample("checkout", environment=environment)
    assert said == ["the same task", "Receipt(order='flaky-1', attempt=2)"]
    assert checkout.Ledger(environment["SHOP_LEDGER"]).paid() == [("flaky-1", 4200)]


def test_checkout_refuses_an_attempt_that_comes_late(tmp_path: Path) -> None:
    ledger, order = checkout.Ledger(str(tmp_path / "ledger.db")), checkout.Order("order-1", 100)
    ledger.reserve(order, 1)
    ledger.reserve(order, 2)
    with pytest.raises(checkout.Superseded):
        ledger.pay(order, 1)
    with pytest.raises(checkout.Superseded):
        ledger.reserve(order, 1)
    assert ledger.paid() == []
    ledger.pay(order, 2)
    assert ledger.paid() == [("order-1", 100)]


async def test_media_goes_where_its_labels_are(
    small_cluster: DevCluster, environment: dict[str, str], tmp_path: Path
) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    with wave.open(str(source), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(array("h", range(10_000)).tobytes())
    progress = run_task(media.worker, media.transcode, media.Job(str(source), str(target))).attempts[0].progress
    assert [report.message.partition(" ")[0] for report in progress] == ["0", "4096", "8192", "10000"]
    target.unlink()
    async with sample_worker(small_cluster, "media", environment):
        said = await sample("media", str(source), str(target), environment=environment)
    assert said[-1] == "Media(seconds=1.25, rate=4000)"
    with wave.open(str(target), "rb") as file:
        assert file.getframerate() == 4000
        assert array("h", file.readframes(10_000)).tolist() == list(range(0, 10_000, 2))


async def test_the_nightly_report_is_retried_and_redriven(
    small_cluster: DevCluster, environment: dict[str, str], tmp_path: Path
) -> None:
    async with sample_worker(small_cluster, "nightly", environment):
        said = await sample("nightly", str(tmp_path), environment=environment)
    assert said == [
        "Report(day=datetime.date(2026, 11, 28), orders=2, cents=600)",
        "ValueError",
        "1 redriven",
        "Report(day=datetime.date(2026, 11, 27), orders=2, cents=300)",
    ]


SERVERS = {
    "flask": ("gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:{port}", "examples.web_flask:app"),
    "django": (
        "gunicorn",
        "--preload",
        "--workers",
        "2",
        "--bind",
        "127.0.0.1:{port}",
        "examples.web_django:application",
    ),
    "fastapi": ("uvicorn", "--port", "{port}", "examples.web_fastapi:app"),
    # The master has used its client before it forks.
    "forked": (
        "gunicorn",
        "--preload",
        "--workers",
        "2",
        "--bind",
        "127.0.0.1:{port}",
        "tests.e2e.used_before_fork:app",
    ),
}


@pytest.mark.usefixtures("hello_worker")
@pytest.mark.parametrize("name", SERVERS)
async def test_requests_submit_tasks(environment: dict[str, str], name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.format(port=port) for word in SERVERS[name]]

    async def answers(_: int) -> bool:
        try:
            return (await web.get("/")).status_code == 404
        except httpx.TransportError:
            return False

    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=40) as web,
        program(*command, environment=environment, ready=answers),
    ):
        town = {"json": {"town": "Nice"}} if name == "fastapi" else {"data": {"town": "Nice"}}
        # More at once than one of its processes would take.
        submitted = await asyncio.gather(*(web.post("/greetings", **town) for _ in range(6)))  # type: ignore[arg-type]
        assert [answer.status_code for answer in submitted] == [202] * 6
        told = await web.get(f"/greetings/{submitted[0].json()['id']}")
        assert told.json() == {"greeting": "Hello Nice, from attempt 1"}
        again = [await web.post("/greetings", headers={"Idempotency-Key": f"{name}-1"}, **town) for _ in range(2)]  # type: ignore[arg-type]
        assert again[0].json() == again[1].json()
