"""A value that is not what a type says."""


class Misfit(ValueError):
    """Where a value does not fit, and why.

    Attributes:
        told: what is wrong there.
        path: the way there from the whole value, e.g. `.items[2].price`; empty for the value itself.
    """

    def __init__(self, told: str, path: str = "") -> None:
        super().__init__(told, path)
        self.told = told
        self.path = path

    def within(self, step: str) -> "Misfit":
        """The same as seen from the value that holds this one."""
        return Misfit(self.told, step + self.path)

    def __str__(self) -> str:
        return f"{self.path.removeprefix('.')}: {self.told}" if self.path else self.told
