"""A worker that hands back what does not finish a second after it was told to stop."""

from taskyard import demo
from taskyard.worker import Worker

worker = Worker(grace=1.0)
worker.task("demo.sleep")(demo.sleep)
