"""The Flask recipe in a server whose master has submitted a task itself before it forks."""

from examples.web_flask import app, client

client.submit("town.greet", {"town": "Master"})

__all__ = ["app"]
