"""Worker commands."""

import logging
import queue
import threading
import time
from typing import Any

from conformance.testee.handler import kit, kit_blocking, open_gate
from conformance.testee.lines import tell
from conformance.testee.notation import Unsupported, duration, error
from taskyard import Worker

_SETTINGS = ("dispatchers", "queues", "labels", "slots", "namespace", "name", "version")
_KNOWN = {*_SETTINGS, "worker", "types", "isolated", "blocking", "grace", "signals", "tracing"}
_STARTED = 30.0

on_main: "queue.SimpleQueue[_Run]" = queue.SimpleQueue()
"""Workers that handle signals, which only the main thread can."""
_runs: "dict[str, _Run]" = {}


class _Run:
    """A worker and how it is run."""

    def __init__(self, name: str, worker: Worker) -> None:
        self.name = name
        self.worker = worker
        self.failed: BaseException | None = None
        self.over = threading.Event()

    def run(self) -> None:
        """Run it as programs do; on the main thread it handles signals."""
        served = False
        try:
            self.worker.run()
            served = True
        except BaseException as raised:
            self.failed = raised
        self.over.set()
        if served or not isinstance(self.failed, ValueError | TypeError):
            tell("worker.ended", worker=self.name, **({} if self.failed is None else {"error": error(self.failed)}))

    def wait_started(self) -> None:
        """Wait until it runs; raises what its settings were refused with."""
        until = time.monotonic() + _STARTED
        while self.worker.session_id is None and not self.over.is_set() and time.monotonic() < until:
            time.sleep(0.002)
        if isinstance(self.failed, ValueError | TypeError):
            raise self.failed


def start(command: dict[str, Any]) -> dict[str, Any]:
    """`worker.start`."""
    if more := command.keys() - _KNOWN:
        raise Unsupported(f"a worker has no {', '.join(sorted(more))}")
    settings = {name: command[name] for name in _SETTINGS if name in command}
    if "grace" in command:
        settings["grace"] = duration(command["grace"]).total_seconds()
    worker = Worker(**settings)
    for type_ in command.get("types", ()):
        worker.task(type_)(kit)
    for type_ in command.get("blocking", ()):
        worker.task(type_)(kit_blocking)
    for type_ in command.get("isolated", ()):
        worker.task(type_, process=True)(kit_blocking)
    if command.get("tracing"):
        _report_spans()
    run = _Run(command.get("worker", "w"), worker)
    _runs[run.name] = run
    if command.get("signals"):
        on_main.put(run)
    else:
        threading.Thread(target=run.run, daemon=True).start()
    run.wait_started()
    return {}


def stop(command: dict[str, Any]) -> dict[str, Any]:
    """`worker.stop`."""
    _runs[command.get("worker", "w")].worker.stop()
    return {}


def gate(command: dict[str, Any]) -> dict[str, Any]:
    """`gate.open`."""
    open_gate(command["gate"])
    return {}


def report_logs() -> None:
    """Tell every line that the SDK logs."""
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(_Teller())
    logging.getLogger().addHandler(logging.StreamHandler())


class _Teller(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, with the fields that were logged beside the text."""
        ordinary = logging.makeLogRecord({}).__dict__
        fields = {key: value for key, value in record.__dict__.items() if key not in ordinary and key != "message"}
        if record.name.startswith("taskyard"):
            tell("log", level=record.levelname, message=record.getMessage(), fields=fields)


def _report_spans() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

    class Teller(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            status, context, parent = span.status.status_code.name, span.get_span_context(), span.parent
            tell(
                "span",
                name=span.name,
                trace_id="" if context is None else f"{context.trace_id:032x}",
                parent_span_id="" if parent is None else f"{parent.span_id:016x}",
                attributes=dict(span.attributes or {}),
                **({} if status == "UNSET" else {"status": status}),
            )

    provider = TracerProvider()
    provider.add_span_processor(Teller())
    trace.set_tracer_provider(provider)


COMMANDS = {"worker.start": start, "worker.stop": stop, "gate.open": gate}
