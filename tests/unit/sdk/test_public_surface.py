"""What users import stays."""

import subprocess
import sys

import taskyard


def test_exports() -> None:
    assert set(taskyard.__all__) == {
        "AccessDenied", "Affected", "Attempt", "AttemptOutcome", "BacklogFull", "Client", "Cluster", "Context",
        "DeadlineExceeded", "Dispatcher", "FailedPrecondition", "FieldViolation", "IdempotencyConflict",
        "InvalidArgument", "Leader", "NonRetryable", "NotFound", "NotJson", "Progress", "Queue", "RetryPolicy",
        "ServerError", "SyncClient", "SyncTaskHandle", "SyncTypedHandle", "Task", "TaskCancelled", "TaskDefinition",
        "TaskError", "TaskExpired", "TaskFailed", "TaskFilter", "TaskHandle", "TaskOptions", "TaskRequest",
        "TaskState", "TaskUnsuccessful", "TaskyardError", "Tls", "TypedHandle", "Unavailable", "UnexpectedResult",
        "Worker", "WorkerInfo", "task",
    }  # fmt: skip
    for name in taskyard.__all__:
        assert getattr(taskyard, name).__doc__


def test_verbs() -> None:
    assert {name for name in dir(taskyard.Client) if not name.startswith("_")} == {
        "attempts", "cancel", "close", "cluster", "get", "handle", "list", "purge_many", "queues", "redrive",
        "redrive_many", "result", "submit", "submit_many", "wait", "workers",
    }  # fmt: skip
    assert {name for name in dir(taskyard.TaskHandle) if not name.startswith("_")} == {
        "cancel", "deduplicated", "get", "id", "result", "state",
    }  # fmt: skip


def test_importing_it_loads_neither_the_server_nor_the_worker() -> None:
    probe = (
        "import sys, taskyard, taskyard.cli.root;"
        "print([n for n in sys.modules if n.split('.')[0] in ('scheduler', 'dispatcher') or n == 'taskyard.worker'])"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
