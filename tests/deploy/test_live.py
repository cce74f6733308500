"""Sources that change start the process again, as `skaffold dev` needs; everything else passes through."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images import live

SAYS = "import time\nprint('{}', flush=True)\ntime.sleep(60)\n"
RUNS = """\
import signal, sys
from pathlib import Path
from deploy.images import live
running = live.Live([sys.executable, sys.argv[1] + "/part/main.py"], Path(sys.argv[1]))
signal.signal(signal.SIGTERM, running.stop)
sys.exit(running.run())
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    image = tmp_path / "image"
    for name in ("part", "other"):
        (image / name / "__pycache__").mkdir(parents=True)
        (image / name / "main.py").write_text(SAYS.format("first"))
    live.copy(["part"], image, tmp_path / "live")
    return tmp_path / "live"


@pytest.fixture
def running(sources: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUNS, str(sources)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process
        process.kill()


def lines(process: subprocess.Popen[str], until: str) -> list[str]:
    """What it says up to a line with these words."""
    assert process.stdout is not None
    said: list[str] = []
    while not said or until not in said[-1]:
        said.append(process.stdout.readline())
        assert said[-1], "".join(said)
    return said


def test_only_sources_of_what_is_named_are_copied_and_once(sources: Path) -> None:
    assert [path.relative_to(sources) for path in sources.rglob("*")] == [Path("part"), Path("part/main.py")]
    (sources / "part" / "main.py").write_text("changed")
    live.copy(["part"], sources.parent / "image", sources)
    assert (sources / "part" / "main.py").read_text() == "changed"


def test_a_change_starts_the_process_again(sources: Path, running: subprocess.Popen[str]) -> None:
    lines(running, "first")
    (sources / "part" / "main.py").write_text(SAYS.format("second"))
    lines(running, "second")
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=30) == -signal.SIGTERM % 256


def test_a_mistake_waits_for_the_next_change(sources: Path, running: subprocess.Popen[str]) -> None:
    lines(running, "first")
    (sources / "part" / "main.py").write_text("oh no")
    lines(running, "SyntaxError")
    (sources / "part" / "more.py").write_text("")
    lines(running, "SyntaxError")
    (sources / "part" / "main.py").write_text("print('good', flush=True)")
    lines(running, "good")
    assert running.wait(timeout=30) == 0


@pytest.mark.parametrize("code", [0, 3])
def test_the_first_process_ends_this_one_with_its_code(sources: Path, code: int) -> None:
    (sources / "part" / "main.py").write_text(f"raise SystemExit({code})")
    command = [sys.executable, "-c", RUNS, str(sources)]
    assert subprocess.run(command, check=False, timeout=30).returncode == code
