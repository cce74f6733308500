"""What dies on purpose also dies as process 1 of a container, which its own signals do not reach."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child")
KILLED = 128 + signal.SIGKILL
STOPS = (
    "from taskyard_scheduler.settings import SchedulerSettings; "
    "SchedulerSettings(failpoints='claimed=stop', _cli_parse_args=[])"
)
CRASHES = (
    "import asyncio; from taskyard_core.runtime import failpoints; failpoints.arm('claimed=crash'); "
    "asyncio.run(failpoints.reach('claimed'))"
)
DEMO = "import asyncio; from taskyard.demo import crash; asyncio.run(crash(None))"
CHAOS = (
    "import asyncio; from types import SimpleNamespace; from chaos.workloads.performance import perform; "
    "asyncio.run(perform(SimpleNamespace(crashes=0, type='chaos.plain'), {'kills': 1}))"
)


def obstacle() -> str:
    """Why there can be no process 1 here; empty if there can."""
    if shutil.which(CONTAINER[0]) is None:
        return "no unshare on this machine"
    attempt = subprocess.run([*CONTAINER, "true"], capture_output=True, check=False, text=True)
    return attempt.stderr.strip() or ("" if attempt.returncode == 0 else f"unshare failed: {attempt.returncode}")


OBSTACLE = obstacle()
pytestmark = pytest.mark.skipif(bool(OBSTACLE), reason=f"no process namespaces here: {OBSTACLE}")


def first(code: str) -> subprocess.CompletedProcess[str]:
    """How a Python process ends that is process 1."""
    program = f"import os; assert os.getpid() == 1\n{code}"
    return subprocess.run([*CONTAINER, sys.executable, "-c", program], capture_output=True, check=False, text=True)


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGSTOP"])
def test_its_own_signal_does_not_reach_it(signal_name: str) -> None:
    ended = first(f"import signal; os.kill(1, signal.{signal_name}); print('alive')")
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr


@pytest.mark.parametrize("code", [DEMO, CRASHES, CHAOS], ids=["demo.crash", "failpoint", "chaos"])
def test_it_dies_all_the_same(code: str) -> None:
    ended = first(code)
    assert ended.returncode == KILLED, ended.stderr


def test_a_server_that_cannot_stop_itself_says_so_at_start() -> None:
    ended = first(STOPS)
    assert ended.returncode == 1
    assert "process 1 of a container cannot stop itself; give the container an init" in ended.stderr


def test_any_other_process_may_stop_itself() -> None:
    ended = subprocess.run([sys.executable, "-c", STOPS], capture_output=True, check=False, text=True)
    assert os.getpid() != 1
    assert ended.returncode == 0, ended.stderr
