"""The worker in Python: `python -m examples.polyglot.worker`."""

from typing import Any

from examples.polyglot.chains import onward
from taskyard import Client, Context, Worker

worker = Worker(queues="polyglot")
client: Client | None = None


@worker.task("polyglot.python")
async def hop(_: Context, payload: dict[str, Any]) -> list[str]:
    """Hands the chain on before it ends: whoever is killed in between, the next attempt does it again to no effect."""
    global client  # noqa: PLW0603 - one connection for all attempts, made inside the running loop
    client = client or Client()
    path, task = onward(payload, "python")
    if task is not None:
        await client.submit_many([task])
    return path


if __name__ == "__main__":
    worker.run()
