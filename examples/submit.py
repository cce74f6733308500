import asyncio

from taskyard import Client


async def main() -> None:
    async with Client() as client:
        handle = await client.submit("town.greet", {"town": "Lyon"}, priority=7, idempotency_key="greet-lyon")
        print(handle.id, "deduplicated" if handle.deduplicated else "new")
        print(await handle.result(timeout=30))


asyncio.run(main())
