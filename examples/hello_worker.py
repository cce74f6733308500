from taskyard import Context, Worker

worker = Worker()


@worker.task("town.greet")
async def greet(context: Context, payload: dict[str, str]) -> str:
    return f"Hello {payload['town']}, from attempt {context.attempt}"


if __name__ == "__main__":
    worker.run()
