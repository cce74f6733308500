"""What is forked from a worker or from a program with clients."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

from taskyard import Client, SyncClient, TaskyardError
from tests.unit.sdk.stub import StubScheduler
from tests.unit.sdk.stub_dispatcher import PATIENCE, StubDispatcher, assignment
from tests.unit.sdk.worker_stage import outcome

RUN = ["-m", "taskyard.cli", "worker", "run", "tests.unit.sdk.forking_handlers:worker"]
SERVE = ["-m", "tests.unit.sdk.forking_handlers"]


@pytest.mark.parametrize("command", [RUN, SERVE], ids=["run", "serve"])
def test_children_of_handlers_can_be_terminated(dispatcher: StubDispatcher, command: list[str]) -> None:
    # As documented for whoever uses `preexec_fn`: gRPC's own threads in the child may end the program before it begins.
    environment = {**os.environ, "TASKYARD_DISPATCHERS": dispatcher.address, "GRPC_ENABLE_FORK_SUPPORT": "0"}
    with subprocess.Popen([sys.executable, *command], env=environment) as process, ExitStack() as failed:
        # Else a failure would wait for a worker that nobody has told to stop.
        failed.callback(process.kill)
        stream = dispatcher.accept()
        signals, client = assignment("fork.signals"), assignment("fork.client")
        stream.assign(signals, client)
        term, hang_up, _, process_end, program_end = outcome(stream, signals)
        assert (term, process_end, program_end) == (-signal.SIGTERM,) * 3
        assert hang_up == -signal.SIGHUP
        # A client in the child of a connected worker could only hang: it says so.
        assert outcome(stream, client) == "CLIENT_FORKED"
        # None of what ended the children has reached the worker itself.
        assert not any(frame.drain for frame in stream.frames)
        process.terminate()
        stream.wait_for(lambda: any(frame.goodbye for frame in stream.frames))
        assert process.wait(PATIENCE) == 0
        failed.pop_all()


PROLOGUE = """
import asyncio, os, sys
from taskyard import Client, SyncClient, TaskyardError

address = sys.argv[1]

async def submit(client):
    return (await client.submit("demo.echo")).id

async def whole_life():
    async with Client(address) as client:
        return await submit(client)

def in_child(call):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            print(call(), flush=True)
        except TaskyardError as error:
            print(error.reason, flush=True)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
"""

PROGRAMS = {
    "unused": ("client = Client(address)\nin_child(lambda: asyncio.run(submit(client)))", ["task-1"]),
    "unused blocking": ("client = SyncClient(address)\nin_child(lambda: client.submit('demo.echo').id)", ["task-1"]),
    "unused blocking, both": (
        "client = SyncClient(address)\nin_child(lambda: client.submit('demo.echo').id)\n"
        "print(client.submit('demo.echo').id)",
        ["task-1", "task-2"],
    ),
    "used": (
        "client = Client(address)\nprint(asyncio.run(submit(client)))\nin_child(lambda: asyncio.run(submit(client)))",
        ["task-1", "CLIENT_FORKED"],
    ),
    "used, then closed in the child": (
        "client = Client(address)\nprint(asyncio.run(submit(client)))\nin_child(lambda: asyncio.run(client.close()))",
        ["task-1", "None"],
    ),
    "used blocking": (
        "client = SyncClient(address)\nprint(client.submit('demo.echo').id)\n"
        "in_child(lambda: client.submit('demo.echo').id)\nin_child(client.close)\nprint(client.submit('demo.echo').id)",
        ["task-1", "task-2", "None", "task-3"],
    ),
    "used blocking, in generations": (
        "client = SyncClient(address)\nprint(client.submit('demo.echo').id)\n"
        "in_child(lambda: (client.submit('demo.echo').id, in_child(lambda: client.submit('demo.echo').id)))\n"
        "print(client.get('task-1').id)",
        ["task-1", "task-3", "('task-2', None)", "task-1"],
    ),
    "a list across a fork": (
        "client = SyncClient(address)\n[client.submit('demo.echo') for _ in range(3)]\n"
        "tasks = client.list(page_size=1)\nprint(next(tasks).id)\nin_child(lambda: next(tasks).id)\n"
        "print(next(tasks).id)",
        ["task-1", "task-2", "task-2"],
    ),
    "new while another is open": (
        "client = SyncClient(address)\nprint(client.submit('demo.echo').id)\n"
        "in_child(lambda: SyncClient(address).submit('demo.echo').id)",
        ["task-1", "task-2"],
    ),
    "new while another with an event loop is open": (
        "async def forks():\n    client = Client(address)\n    print(await submit(client))\n"
        "    in_child(lambda: SyncClient(address).submit('demo.echo').id)\n    await client.close()\n"
        "asyncio.run(forks())",
        ["task-1", "CLIENT_FORKED"],
    ),
    "new after others were closed": (
        "print(asyncio.run(whole_life()))\nin_child(lambda: asyncio.run(whole_life()))",
        ["task-1", "task-2"],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_client_works_in_a_fork_or_says_why_not(address: str, name: str) -> None:
    program, lines = PROGRAMS[name]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROLOGUE + program, address, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        stdout, _ = await process.communicate()
    assert (stdout.decode().splitlines(), process.returncode) == (lines, 0)


def in_thread(call: "asyncio._CoroutineLike[object]") -> object:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(asyncio.run(call))  # type: ignore[arg-type]
        except TaskyardError as error:
            found.append(error.reason)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    return found[0]


async def test_a_client_in_two_event_loops_says_so(address: str, stub: StubScheduler) -> None:
    async with Client(address) as client:
        handle = await client.submit("demo.echo")
        for call in (client.submit("demo.echo"), client.get(handle.id), client.wait(handle.id), client.close()):
            assert await asyncio.to_thread(in_thread, call) == "CLIENT_IN_ANOTHER_LOOP"
        # At home it goes on.
        assert (await client.get(handle.id)).id == handle.id


async def test_a_blocking_client_is_for_all_threads(address: str) -> None:
    client = SyncClient(address)
    ids = await asyncio.gather(*(asyncio.to_thread(lambda: client.submit("demo.echo").id) for _ in range(8)))
    assert len(set(ids)) == 8
    await asyncio.to_thread(client.close)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.submit("demo.echo")
    SyncClient(address).close()
