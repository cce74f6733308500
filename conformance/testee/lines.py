"""JSON lines in and out."""

import json
import os
import threading
from typing import Any

_writing = threading.Lock()


def tell(event: str, **fields: Any) -> None:
    """Write an event. From any thread, and from processes that share stdout."""
    line = json.dumps({"event": event, **fields}, ensure_ascii=True, default=str).encode() + b"\n"
    with _writing:
        while line:
            line = line[os.write(1, line) :]
