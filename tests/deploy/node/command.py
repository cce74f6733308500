"""The machine's own programs, run to their end."""

import asyncio
import subprocess


async def run(*command: str, said: str = "") -> str:
    """What a program prints; raises CalledProcessError, with what it complained of, when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate(said.encode())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output.decode())
    return output.decode()
