"""Which stores dispatch has to do without."""

import logging

from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)


class Outages:
    """A store is away from the error that says so until somebody has seen it answer."""

    def __init__(self) -> None:
        self._away: set[str] = set()

    @property
    def postgres(self) -> bool:
        """Nothing can be claimed, so nothing should be read."""
        return "postgres" in self._away

    @property
    def redis(self) -> bool:
        """Tasks are read from the tables."""
        return "redis" in self._away

    def began(self, error: StoreUnavailable) -> None:
        """A store did not answer."""
        if error.store not in self._away:
            self._away.add(error.store)
            _log.warning(
                "dispatch goes on from the tables: %s" if error.store == "redis" else "dispatch waits: %s", error
            )

    def ended(self, store: str) -> None:
        """It has answered."""
        if store in self._away:
            self._away.discard(store)
            _log.info("dispatch has %s again", store)
