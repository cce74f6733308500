"""The examples, and what the documentation tells to type, do what is said of them."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio

from taskyard import RetryPolicy, TaskFailed
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
