"""Hello: a task defined once. `taskyard worker run examples.hello:worker`, and `python -m examples.hello`."""

import asyncio
from dataclasses import dataclass

from taskyard import Client, Context, Worker, task


@dataclass
class Town:
    town: str


greet = task("town.greet", Town, str)
worker = Worker()


@worker.handles(greet)
async def hello(context: Context, town: Town) -> str:
    return f"Hello {town.town}, from attempt {context.attempt}"


async def main() -> None:
    async with Client() as client:
        handle = await greet.submit(client, Town("Lyon"))
        print(await handle.result(timeout=30))


if __name__ == "__main__":
    asyncio.run(main())
