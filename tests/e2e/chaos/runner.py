"""A program that runs a local cluster until it is killed: `python runner.py DIRECTORY`."""

import asyncio
import sys
from pathlib import Path

from chaos.backends.local import LocalCluster, Options


async def main() -> None:
    async with LocalCluster(Options(directory=Path(sys.argv[1]), workers=())):
        await asyncio.Event().wait()


asyncio.run(main())
