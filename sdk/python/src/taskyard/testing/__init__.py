"""Run a worker's handlers in a test, without a server:

from taskyard.testing import run_task

def test_greets_by_name() -> None:
    assert run_task(worker, greet, Town("Lyon")).result == "Hello Lyon"
"""

from taskyard.testing.play import run_task
from taskyard.testing.run import AttemptRun, ProgressReport, TaskRun

__all__ = ["AttemptRun", "ProgressReport", "TaskRun", "run_task"]
