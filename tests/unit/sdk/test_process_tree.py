"""The end of a process with all that it has started."""

import os
import subprocess
import sys

import pytest

from taskyard.worker.process_tree import kill_tree
from tests.unit.sdk.process_states import runs

# Programs of its own group and of groups of their own, and one whose parent has left it.
TREE = """
import os, subprocess, sys, time
from taskyard.worker.process_tree import lead
lead()
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
started = [subprocess.Popen(sleep, start_new_session=number % 2 == 0).pid for number in range(12)]
if os.fork() == 0:
    print(*started, subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
    os._exit(0)
os.wait()
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system does not tell who is whose")
def test_nothing_of_a_tree_runs_once_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdout is not None
        pids = leader.stdout.readline().split()
        assert len(pids) == 13
        kill_tree(leader.pid)
        assert not list(filter(runs, pids))
        assert leader.wait() == -9
