"""FastAPI: `uvicorn --workers 4 examples.web_fastapi:app`. The client is made where its event loop runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request

from examples.hello import Town, greet
from taskyard import Client


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Client(time_limit=5) as client:
        app.state.taskyard = client
        yield


def taskyard(request: Request) -> Client:
    client: Client = request.app.state.taskyard
    return client


app = FastAPI(lifespan=lifespan)
Tasks = Annotated[Client, Depends(taskyard)]


@app.post("/greetings", status_code=202)
async def submit(town: Town, tasks: Tasks, idempotency_key: Annotated[str | None, Header()] = None) -> dict[str, str]:
    handle = await greet.submit(tasks, town, idempotency_key=idempotency_key)
    return {"id": handle.id}


@app.get("/greetings/{id}")
async def result(id: str, tasks: Tasks) -> dict[str, str]:
    return {"greeting": await greet.handle(tasks, id).result(timeout=30)}
