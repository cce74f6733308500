import asyncio
import json
import os

import asyncpg

ORDERS = "CREATE TABLE IF NOT EXISTS orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, town text NOT NULL)"
SUBMIT = "SELECT taskyard.submit('town.greet', $1::jsonb, idempotency_key => $2)"


async def main() -> None:
    connection = await asyncpg.connect(os.environ["TASKYARD_POSTGRES_URL"])
    try:
        await connection.execute(ORDERS)
        # The order and its task are committed together, or neither exists.
        async with connection.transaction():
            order = await connection.fetchval("INSERT INTO orders (town) VALUES ($1) RETURNING id", "Lyon")
            task = await connection.fetchval(SUBMIT, json.dumps({"town": "Lyon"}), f"order-{order}")
        print(task)
    finally:
        await connection.close()


asyncio.run(main())
