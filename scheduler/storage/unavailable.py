"""The one error for a store that cannot be reached or does not answer in time."""


class StoreUnavailable(Exception):
    """A store is away; whether the last operation took effect is unknown."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(f"{store} is unavailable: {detail}")
        self.store = store
        self.detail = detail
