"""The supervisor of a development cluster, with real stores and stand-ins for the roles."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from taskyard_server.dev.port import free_port

STAND_IN = Path(__file__).with_name("dev_stand_in.py")
STORE_ROLES = {"postgres", "redis", "etcd"}


class Supervisor:
    """A supervisor that runs as a process of its own, read line by line."""

    def __init__(self, directory: Path, *flags: str, **environment: str) -> None:
        self.directory = directory
        workers = directory.parent / "workers"
        workers.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(STAND_IN), "cluster", str(directory), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TEST_WORKERS": str(workers), **environment},
            # A group of its own, as a shell gives each command, so that a test can press Ctrl-C.
            process_group=0,
        )

    def wait_for(self, beginning: str) -> str:
        """Reads on to the next line that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line.strip()
        assert self.process.stderr is not None
        raise AssertionError(f"ended without {beginning!r}: {self.process.stderr.read()}")

    def roster(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.directory / "cluster.json").read_text())
        return document

    def pids(self) -> dict[str, int]:
        return {entry["name"]: entry["pid"] for entry in self.roster()["processes"]}

    def everything(self) -> list[psutil.Process]:
        """Every process that descends from it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> tuple[int, str]:
        """Waits for its end: exit code and what it said on standard error."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


StartSupervisor = Callable[..., Supervisor]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[StartSupervisor]:
    """Starts supervisors on one state directory; ends those that a failed test leaves behind."""
    started: list[Supervisor] = []

    def start(*flags: str, **environment: str) -> Supervisor:
        started.append(Supervisor(tmp_path / "state", *flags, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.terminate()
        each.process.communicate(timeout=60)


def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Waits for the end of all; returns those that stay."""
    return psutil.wait_procs(processes, timeout=30)[1]


def test_ready_lists_every_process_and_ctrl_c_stops_those_in_order_and_no_other(
    supervisor: StartSupervisor, tmp_path: Path
) -> None:
    cluster = supervisor(TEST_CHILD="1")
    ready = cluster.wait_for("READY")
    roster = cluster.roster()
    assert ready == f"READY rest={roster['rest']} grpc={roster['grpc']} cluster={tmp_path}/state/cluster.json"
    roles = [entry["role"] for entry in roster["processes"]]
    assert sorted(roles) == sorted([*STORE_ROLES, "scheduler", *["dispatcher"] * 2, *["worker"] * 2])
    for entry in roster["processes"]:
        assert psutil.pid_exists(entry["pid"])
        assert set(entry) == {"name", "role", "pid", "addresses"}

    children = cluster.everything()
    # Not the supervisor's, though it looks like one of its workers' children.
    with subprocess.Popen(["sleep", "1000"]) as bystander:
        cluster.press_ctrl_c()
        assert cluster.ended() == (0, "")
        assert gone(children) == []
        assert bystander.poll() is None
        bystander.kill()
    assert not (cluster.directory / "cluster.json").exists()
    stopped = [name.partition("-")[0] for name in (tmp_path / "workers" / "stopped").read_text().split()]
    assert stopped == ["worker", "worker", "dispatcher", "dispatcher", "scheduler"]


def test_data_is_found_again_and_stores_are_stopped_last(supervisor: StartSupervisor) -> None:
    first = supervisor()
    first.wait_for("READY")
    marks = {name: (first.directory / name) for name in ("postgres/PG_VERSION", "etcd/data", "redis/appendonlydir")}
    made = {name: path.stat().st_ino for name, path in marks.items()}
    first.press_ctrl_c()
    assert first.ended() == (0, "")

    again = supervisor()
    again.wait_for("READY")
    assert {name: path.stat().st_ino for name, path in marks.items()} == made
    log = (again.directory / "logs" / "postgres.log").read_text()
    assert "database system was shut down" in log
    assert "not properly shut down" not in log


@pytest.mark.parametrize("name", ["worker-2", "dispatcher-1", "scheduler-1"])
def test_a_role_that_dies_is_started_again_and_listed(supervisor: StartSupervisor, name: str) -> None:
    cluster = supervisor("--no-stores")
    cluster.wait_for("READY")
    before = cluster.pids()
    os.kill(before[name], signal.SIGKILL)
    assert cluster.wait_for(f"{name} ended by SIGKILL")
    started = cluster.wait_for(f"{name} started again")
    after = cluster.pids()
    assert started == f"{name} started again, pid {after[name]}"
    assert after[name] != before[name]
    assert {**after, name: 0} == {**before, name: 0}


def test_a_store_that_dies_is_started_again(supervisor: StartSupervisor) -> None:
    cluster = supervisor()
    cluster.wait_for("READY")
    for role in STORE_ROLES:
        before = cluster.pids()
        os.kill(before[role], signal.SIGKILL)
        cluster.wait_for(f"{role} ended by SIGKILL")
        cluster.wait_for(f"{role} started again")
        assert cluster.pids()[role] != before[role]


def test_what_a_killed_worker_left_behind_goes_too(supervisor: StartSupervisor) -> None:
    cluster = supervisor("--no-stores", TEST_CHILD="1")
    cluster.wait_for("READY")
    worker = psutil.Process(cluster.pids()["worker-1"])
    grandchildren = worker.children()
    assert len(grandchildren) == 1
    worker.kill()
    cluster.wait_for("worker-1 started again")
    assert gone(grandchildren) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels send no signal")
def test_nothing_outlives_a_killed_supervisor_and_the_next_start_works(supervisor: StartSupervisor) -> None:
    cluster = supervisor()
    cluster.wait_for("READY")
    listed = [psutil.Process(pid) for pid in cluster.pids().values()]
    cluster.process.kill()
    again = supervisor()
    again.wait_for("READY")
    assert gone(listed) == []
    orphans = [process for process in psutil.process_iter() if belongs_to(process, cluster.directory)]
    assert {process.pid for process in orphans} <= {process.pid for process in again.everything()}


def belongs_to(process: psutil.Process, directory: Path) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return process.cwd().startswith(str(directory))
    return False


def test_a_second_supervisor_is_refused(supervisor: StartSupervisor) -> None:
    cluster = supervisor("--no-stores")
    cluster.wait_for("READY")
    before = cluster.pids()
    code, errors = supervisor("--no-stores").ended()
    assert code == 1
    assert f"a development cluster (process {cluster.process.pid}) already runs in {cluster.directory}" in errors
    assert cluster.pids() == before


def test_a_failed_migration_ends_it_with_the_log(supervisor: StartSupervisor) -> None:
    cluster = supervisor("--no-stores", TEST_MIGRATE_CODE="3")
    code, errors = cluster.ended()
    assert code == 1
    assert f"migrate ended with code 3; see {cluster.directory}/logs/migrate.log" in errors


def test_ctrl_c_before_ready_stops_what_there_is(supervisor: StartSupervisor) -> None:
    cluster = supervisor("--no-stores", TEST_WORKERS="/nonexistent")
    cluster.wait_for("worker-1 ended")
    children = cluster.everything()
    assert children
    cluster.press_ctrl_c()
    assert cluster.ended() == (0, "")
    assert gone(children) == []


def test_a_terminal_that_is_closed_stops_those_in_order(supervisor: StartSupervisor, tmp_path: Path) -> None:
    # Whoever runs the tests under nohup passes on that the signal is ignored.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    cluster = supervisor("--no-stores")
    signal.signal(signal.SIGHUP, before)
    cluster.wait_for("READY")
    children = cluster.everything()
    assert cluster.process.stdout is not None
    cluster.process.stdout.close()
    cluster.process.send_signal(signal.SIGHUP)
    assert cluster.process.wait(timeout=60) >= 0
    assert gone(children) == []
    assert (tmp_path / "workers" / "stopped").exists()
    cluster.process.stdout = None


def test_a_role_is_started_again_though_nobody_reads(supervisor: StartSupervisor) -> None:
    cluster = supervisor("--no-stores")
    cluster.wait_for("READY")
    before = cluster.pids()
    assert cluster.process.stdout is not None
    cluster.process.stdout.close()
    cluster.process.stdout = None
    os.kill(before["scheduler-1"], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while cluster.pids().get("scheduler-1") in (None, before["scheduler-1"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_second_ctrl_c_does_not_wait_for_anyone(supervisor: StartSupervisor, tmp_path: Path) -> None:
    cluster = supervisor("--no-stores", TEST_STUBBORN="1")
    cluster.wait_for("READY")
    children = cluster.everything()
    cluster.press_ctrl_c()
    cluster.wait_for("stopping")
    cluster.press_ctrl_c()
    assert cluster.ended() == (0, "")
    assert gone(children) == []
    # Nobody was asked but the workers, who did not listen.
    assert not (tmp_path / "workers" / "stopped").exists()


def test_stores_with_an_address_are_not_started(supervisor: StartSupervisor) -> None:
    cluster = supervisor("--no-stores")
    cluster.wait_for("READY")
    assert not STORE_ROLES & {entry["role"] for entry in cluster.roster()["processes"]}
    cluster.press_ctrl_c()
    assert cluster.ended() == (0, "")


def test_command_names_the_taken_port_and_its_flag(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        command = [sys.executable, "-m", "taskyard_server", "dev", f"--dir={tmp_path}", f"--session-port={port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"port {port} is already in use: give --session-port another one" in done.stderr
