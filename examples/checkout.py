"""Checkout: an order is charged once, however often it is submitted and whichever attempt comes late.

`taskyard worker run examples.checkout:worker`, and `python -m examples.checkout`. Both use the ledger at SHOP_LEDGER.
"""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass

from taskyard import Client, Context, NonRetryable, RetryPolicy, Worker, task


@dataclass
class Order:
    id: str
    cents: int


@dataclass
class Receipt:
    order: str
    attempt: int


checkout = task("shop.checkout", Order, Receipt, retry=RetryPolicy(initial_backoff=0.1))
worker = Worker(slots=10)


class Superseded(NonRetryable):
    """A newer attempt has the order."""


class Ledger:
    """Who may write an order: its newest attempt. A real shop has this in its own database."""

    def __init__(self, path: str) -> None:
        self._path = path
        with closing(self._open()) as ledger, ledger:
            ledger.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, attempt INT, cents INT, paid INT)")

    def reserve(self, order: Order, attempt: int) -> None:
        """Make this attempt the order's; raises Superseded for one that is older than who has it."""
        with closing(self._open()) as ledger, ledger:
            changed = ledger.execute(
                "INSERT INTO orders VALUES (?, ?, ?, 0) "
                "ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt WHERE excluded.attempt >= attempt",
                (order.id, attempt, order.cents),
            ).rowcount
        if not changed:
            raise Superseded(f"order {order.id} belongs to a newer attempt than {attempt}")

    def pay(self, order: Order, attempt: int) -> None:
        """Charge the order, once; raises Superseded if this attempt no longer has it."""
        with closing(self._open()) as ledger, ledger:
            fence = (order.id, attempt)
            if not ledger.execute("UPDATE orders SET paid = 1 WHERE id = ? AND attempt = ?", fence).rowcount:
                raise Superseded(f"order {order.id} belongs to a newer attempt than {attempt}")

    def paid(self) -> list[tuple[str, int]]:
        """The orders that were charged, and how much."""
        with closing(self._open()) as ledger:
            return ledger.execute("SELECT id, cents FROM orders WHERE paid ORDER BY id").fetchall()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=10)


@worker.handles(checkout)
def charge(context: Context, order: Order) -> Receipt:
    ledger = Ledger(os.environ.get("SHOP_LEDGER", "ledger.db"))
    ledger.reserve(order, context.attempt)
    if context.attempt == 1 and order.id.startswith("flaky"):
        raise ConnectionError("the bank did not answer")
    ledger.pay(order, context.attempt)
    return Receipt(order.id, context.attempt)


async def main() -> None:
    order = Order("flaky-1", 4200)
    async with Client() as client:
        first = await checkout.submit(client, order, idempotency_key=f"checkout-{order.id}")
        # The customer clicks again.
        again = await checkout.submit(client, order, idempotency_key=f"checkout-{order.id}")
        print("the same task" if again.id == first.id and again.deduplicated else "another task")
        print(await first.result(timeout=30))


if __name__ == "__main__":
    asyncio.run(main())
