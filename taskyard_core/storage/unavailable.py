"""The errors for a store that cannot be reached, does not answer in time, says no, or has done nothing."""


class StoreUnavailable(Exception):
    """A store is of no use to anybody right now; whether the last operation took effect is unknown.

    It is away, or, where `refused` is set, it answers and says no: permissions, a password, a server that is read-only
    or too old. Both are waited out alike, since both are mended without us. `detail` holds no secret.
    """

    def __init__(self, store: str, detail: str, *, refused: bool = False) -> None:
        super().__init__(f"{store} {'refuses' if refused else 'is unavailable'}: {detail}")
        self.store = store
        self.detail = detail
        self.refused = refused


class NothingDone(StoreUnavailable):
    """The store has surely done nothing: it undid the transaction in favour of another, or never heard of it.

    The whole transaction may be tried again at once; see `retried`.
    """


class TooLong(StoreUnavailable):
    """The store was there, and the statement took longer than it may: large, or behind somebody's lock.

    Whether it took effect is unknown. Less at once may pass where the whole never will.
    """
