"""A cluster started in the folder of an application whose modules have the names of ours, or of Python's own."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from taskyard_server import apart

# Each notes who imported it, and then is of no use to anybody.
TRAP = """\
import os, sys
os.write(os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), f"{{__name__}} {{os.getpid()}}\\n".encode())
"""
MODULES = (
    "scheduler",
    "dispatcher",
    "core",
    "redis",
    "logging",
    "typing_extensions",
    "orjson",
    "grpc",
    "json",
    "asyncio",
    "typer",
)
COMMANDS = {
    "console script": (str(Path(sys.executable).with_name("taskyard-server")),),
    "module": (sys.executable, "-m", "taskyard_server"),
}
READY_SECONDS = 60.0


def application(folder: Path) -> Path:
    """Fills the folder with traps; returns where they note who walked into them."""
    log = folder / "imported.log"
    for name in MODULES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(TRAP.format(log=str(log)))
    for name in ("sitecustomize", "usercustomize", "uuid", "queue"):
        (folder / f"{name}.py").write_text(TRAP.format(log=str(log)))
    return log


@pytest.mark.parametrize("path", ["", "."], ids=["no PYTHONPATH", "PYTHONPATH=."])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
async def test_servers_import_nothing_of_the_users_folder(tmp_path: Path, command: tuple[str, ...], path: str) -> None:
    log = application(tmp_path)
    flags = ("--rest-port=0", "--grpc-port=0", "--session-port=0", "--dispatchers=1", "--workers=1")
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSTARTUP": "scheduler/__init__.py"}
    process = await asyncio.create_subprocess_exec(
        *command, "dev", *flags, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = b""
    async with asyncio.timeout(READY_SECONDS):
        while b"READY" not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    walked_in = log.read_text().splitlines() if log.exists() else []
    # The interpreter runs this one by itself, before it starts the command.
    assert set(walked_in) <= {f"sitecustomize {process.pid}"}


def test_places_of_ones_own_stay_wherever_they_are_named() -> None:
    own = str(apart.OWN)
    assert apart.search_path(["", "/lib", own, "/app"], f"/app:{own}", own) == ["", "/lib", own]
    assert apart.search_path(["/bin", "/lib"], "", "/bin") == ["/lib"]
    assert apart.environment({"PYTHONPATH": f"/app:{own}", "PYTHONSTARTUP": "x", "A": "1"}) == {
        "PYTHONPATH": own,
        "A": "1",
    }
    assert apart.environment({"PYTHONPATH": "/app", "PYTHONHASHSEED": "1"}) == {"PYTHONHASHSEED": "1"}
