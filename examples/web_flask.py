"""Flask: `gunicorn --preload --workers 4 examples.web_flask:app`. One client serves all workers and threads."""

from flask import Flask, request

from examples.hello import Town, greet
from taskyard import InvalidArgument, SyncClient, Unavailable

app = Flask(__name__)
client = SyncClient(time_limit=5)


@app.post("/greetings")
def submit() -> tuple[dict[str, str], int]:
    handle = greet.submit(client, Town(request.form["town"]), idempotency_key=request.headers.get("Idempotency-Key"))
    return {"id": handle.id}, 202


@app.get("/greetings/<id>")
def result(id: str) -> dict[str, str]:
    return {"greeting": greet.handle(client, id).result(timeout=30)}


@app.errorhandler(InvalidArgument)
def refused(error: InvalidArgument) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 422


@app.errorhandler(Unavailable)
def away(error: Unavailable) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503
