"""The hosts that a URL names, of which one takes writes at any time."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import asyncpg


class Hosts:
    """Connects to the first that can be used. One that could not is tried last from then on, by everybody.

    The driver would try them within one time limit, and a host that swallows packets uses that up; and it would not go
    on after a host that answers with no.
    """

    def __init__(self, places: Sequence[tuple[str, int] | None]) -> None:
        self._places: deque[tuple[str, int] | None] = deque(places or (None,))

    def __len__(self) -> int:
        return len(self._places)

    async def connect(self, *positional: Any, **arguments: Any) -> Any:
        """As asyncpg.connect, for each host in turn; raises what the first said that answered, else what the last."""
        errors: list[Exception] = []
        for _ in range(len(self._places)):
            place = self._places[0]
            where: dict[str, Any] = {} if place is None else {"host": place[0], "port": place[1]}
            try:
                return await asyncpg.connect(*positional, **where, **arguments)  # type: ignore[call-overload]
            except BaseException as error:
                # Also where whoever asked has lost patience: with this host it would be in vain again.
                if self._places[0] == place:
                    self._places.rotate(-1)
                if not isinstance(error, Exception):
                    raise
                errors.append(error)
        raise next((error for error in errors if not isinstance(error, OSError)), errors[-1])
