"""The errors for a store that cannot be reached, does not answer in time, or has done nothing."""


class StoreUnavailable(Exception):
    """A store is away; whether the last operation took effect is unknown."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(f"{store} is unavailable: {detail}")
        self.store = store
        self.detail = detail


class NothingDone(StoreUnavailable):
    """The store has surely done nothing: it undid the transaction in favour of another, or never heard of it.

    The whole transaction may be tried again at once; see `retried`.
    """


class TooLong(StoreUnavailable):
    """The store was there, and the statement took longer than it may: large, or behind somebody's lock.

    Whether it took effect is unknown. Less at once may pass where the whole never will.
    """
