"""Which cluster a store belongs to: an id that is made with the database, and that etcd and Redis are told.

Where two clusters meet in one store, each would take what the other left there for its own: sessions for dead, entries
for lost, a leader for its own. So nothing is done to a store before it was seen to be this cluster's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between looks at stores that may have been replaced without a connection breaking."""
FIRST_LOOK = 3.0
"""Seconds that a start waits for what the stores say; one that answers later is looked at then."""

Check = Callable[[], Awaitable[None]]
"""Asks a store whose it is; raises ForeignStore and StoreUnavailable."""


class ForeignStore(StoreUnavailable):
    """The store belongs to another cluster: as good as away, until it is this cluster's again."""


class Identity:
    """The cluster's id as one process knows it: what Postgres told first, and every store must have from then on."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._checks: dict[str, Check] = {}
        self._foreign: dict[str, str] = {}

    @property
    def id(self) -> str:
        """Raises StoreUnavailable as long as Postgres has not told."""
        if self._id is None:
            raise StoreUnavailable("postgres", "it has not told yet which cluster this is")
        return self._id

    @property
    def obstacle(self) -> str | None:
        """Which stores belong to another cluster, None if none does."""
        return "; ".join(self._foreign.values()) or None

    def watch(self, store: str, check: Check) -> None:
        """Have a store looked at now and then; Postgres first, which tells the id."""
        self._checks[store] = check

    def learn(self, found: str) -> None:
        """Take what Postgres says; raises ForeignStore if it has said something else before."""
        if self._id is None:
            self._id = found
        self.compare("postgres", found, "the database was replaced: start this process again")

    def compare(self, store: str, found: str, remedy: str) -> None:
        """Raise ForeignStore unless the store says that it is this cluster's."""
        if found == self.id:
            if self._foreign.pop(store, None):
                _log.warning("%s is this cluster's again", store)
            return
        told = f"two clusters meet: {store} belongs to cluster {found}, this process to cluster {self.id}; {remedy}"
        if self._foreign.get(store) != told:
            _log.error(told)
        self._foreign[store] = told
        raise ForeignStore(store, told)

    async def first_look(self) -> None:
        """Raise ForeignStore if any store that answers soon belongs to another cluster."""
        try:
            async with asyncio.timeout(FIRST_LOOK):
                await self._look()
        except TimeoutError:
            _log.info("not every store has told yet whose it is")
        for store, told in self._foreign.items():
            raise ForeignStore(store, told)

    async def run(self, clock: Clock) -> None:
        """Look every few seconds."""
        while True:
            await self._look()
            await clock.sleep(INTERVAL)

    async def _look(self) -> None:
        for store, check in self._checks.items():
            try:
                await check()
            except StoreUnavailable as error:
                _log.debug("not known whose it is: %s", error)
            except Exception as error:  # whatever a store refuses it with, it is asked again
                _log.warning("%s cannot be asked which cluster it is of: %s", store, error)
