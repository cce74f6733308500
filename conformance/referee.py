"""Rules of the protocol that hold in every case, whatever it is about. Pure: looks at what the streams recorded."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from conformance.dispatcher import Item, Stream
from conformance.documents import Json

MAX_FRAME = 2 * 1024 * 1024
MAX_RESULTS = 1000
MAX_RESULT = 1024 * 1024
OVERLAP = 0.5
"""Seconds that the end of a stream may arrive after the next one's hello: they travel on different connections."""
PROGRESS_APART = 0.2
"""Seconds; they are sent half a second apart, and may be held up on their way."""

_TEXTS = {"type": 256, "message": 4096, "stack": 16384}


def violations(streams: Sequence[Stream]) -> Iterator[str]:
    """What the streams of one worker, in the order they were opened, did against the rules."""
    for number, stream in enumerate(streams, 1):
        for told in _of_stream(stream):
            yield f"stream {number} (at {stream.dispatcher}): {told}"
    yield from _identity(streams)
    yield from _one_at_a_time(streams)
    yield from _sequences(streams)


def _of_stream(stream: Stream) -> Iterator[str]:
    yield from _opening(stream)
    yield from _frames(stream)
    yield from _results(stream)
    yield from _progress(stream)
    yield from _heard(stream)
    yield from _goodbye(stream)


def _opening(stream: Stream) -> Iterator[str]:
    first = [item.kind for item in stream.items if item.frame == 0]
    if first != ["hello"]:
        yield f"the first frame has {', '.join(first) or 'nothing'} rather than a hello alone"
    if any(item.kind == "hello" and item.frame > 0 for item in stream.items):
        yield "a second hello"
    early = [
        item.kind for item in stream.items if item.frame > 0 and (not stream.welcomed or item.at < stream.welcomed)
    ]
    if early:
        yield f"{early[0]} came before the welcome was sent"
    for name in ("pod", "node", "sdk", "version", "worker"):
        if not str(stream.hello.get(name, "")).isprintable():
            yield f"hello.{name} is not printable"


def _frames(stream: Stream) -> Iterator[str]:
    for number, (size, results) in enumerate(zip(stream.sizes, stream.results, strict=True)):
        if size >= MAX_FRAME:
            yield f"frame {number} has {size} bytes"
        if results > MAX_RESULTS:
            yield f"frame {number} has {results} results"


def _key(content: dict[str, Any]) -> tuple[str, int]:
    return content.get("task_id", ""), content.get("attempt", 0)


def _results(stream: Stream) -> Iterator[str]:
    ended: set[tuple[str, int]] = set()
    for item in stream.items:
        if item.kind == "result":
            key = _key(item.content)
            if key in ended:
                yield f"a second result or release of {key} on one stream"
            ended.add(key)
            yield from _outcome(item)
        elif item.kind == "released":
            ended.add(_key(item.content))
        elif item.kind == "progress" and _key(item.content) in ended:
            yield f"progress of {_key(item.content)} after its end"


def _outcome(item: Item) -> Iterator[str]:
    key, content = _key(item.content), item.content
    found = [name for name in ("result", "error", "cancelled") if name in content]
    if len(found) != 1 or content.get("cancelled") is False:
        yield f"the result of {key} says no outcome"
    result = content.get("result")
    if isinstance(result, Json) and (not result.valid or len(result.raw) > MAX_RESULT):
        yield f"the result of {key} is no JSON of at most {MAX_RESULT} bytes"
    error = content.get("error", {})
    for name, limit in _TEXTS.items():
        if len(error.get(name, "")) > limit:
            yield f"error.{name} of {key} has {len(error[name])} characters, at most {limit} are allowed"
    if "error" in content and not error.get("type"):
        yield f"the error of {key} has no type"


def _progress(stream: Stream) -> Iterator[str]:
    said: dict[tuple[str, int], float] = {}
    for item in stream.items:
        if item.kind == "progress":
            if item.at - said.get(_key(item.content), -1.0) < PROGRESS_APART:
                yield f"progress of {_key(item.content)} twice within {PROGRESS_APART} s"
            said[_key(item.content)] = item.at


def _heard(stream: Stream) -> Iterator[str]:
    """`heard` is an echo that was sent on this stream, or the last heartbeat before it."""
    echoed = {frame.heartbeat.sequence: at for at, frame in stream.sent if frame.HasField("heartbeat")}
    beats = [item for item in stream.items if item.kind == "heartbeat"]
    for item in beats:
        heard, before = item.content.get("heard", 0), beats[0].content["sequence"]
        if heard in echoed and echoed[heard] <= item.at:
            continue
        if heard >= before:
            yield f"heartbeat {item.content['sequence']} has heard {heard}, which was not echoed on this stream"


def _goodbye(stream: Stream) -> Iterator[str]:
    said = [item for item in stream.items if item.kind == "goodbye"]
    if not said:
        return
    if stream.alone[said[0].frame] != 1 or any(item.frame > said[0].frame for item in stream.items):
        yield "the goodbye is not alone in the last frame"
    acked = {(ack.task_id, ack.attempt) for at, frame in stream.sent for ack in frame.acks if at <= said[0].at}
    if waiting := {_key(item.content) for item in stream.items if item.kind == "result"} - acked:
        yield f"goodbye without the acks of {sorted(waiting)}"


def _identity(streams: Sequence[Stream]) -> Iterator[str]:
    for name in ("session_id", "secret", "namespace", "worker", "types", "queues", "labels", "slots", "pid"):
        values = [stream.hello.get(name) for stream in streams]
        if any(value != values[0] for value in values):
            yield f"hello.{name} changes between the streams of a session"


def _one_at_a_time(streams: Sequence[Stream]) -> Iterator[str]:
    for earlier, later in pairwise(streams):
        still_open = earlier.ended is None or earlier.ended > later.opened + OVERLAP
        if still_open and not earlier.cut:
            yield "two streams at a time"


def _sequences(streams: Sequence[Stream]) -> Iterator[str]:
    newest = 0
    for stream in streams:
        beats = [item.content["sequence"] for item in stream.items if item.kind == "heartbeat"]
        # Those that were on their way when a stream ended are lost.
        if beats and beats[0] <= newest:
            yield f"heartbeat {beats[0]} on a new stream follows {newest}"
        for one, following in pairwise(beats):
            if following != one + 1:
                yield f"heartbeat {following} follows {one}"
        newest = max([newest, *beats])
