"""The demo as a user starts it, on fewer files."""

import asyncio
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
async def test_the_demo_passes_without_a_terminal() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.word_count", "--files", "400"),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            # It stops its cluster on this.
            process.terminate()
            await process.wait()
    assert process.returncode == 0, said.decode()
    assert said.decode().splitlines()[-1] == "PASS"
