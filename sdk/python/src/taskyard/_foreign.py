"""Classes of pydantic and msgspec, known by what they carry and left to their libraries."""

from functools import cached_property
from typing import Any

from taskyard import _json
from taskyard._misfit import Misfit


def is_pydantic(cls: type) -> bool:
    """Whether it is a model or a dataclass of pydantic."""
    return hasattr(cls, "__pydantic_core_schema__")


def is_msgspec(cls: type) -> bool:
    """Whether it is a Struct of msgspec."""
    return hasattr(cls, "__struct_fields__")


class PydanticShape:
    """Validates as pydantic does for JSON, and writes by alias as it reads."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    @cached_property
    def _adapter(self) -> Any:
        from pydantic import TypeAdapter

        return TypeAdapter(self._cls)

    def load(self, value: Any) -> Any:
        """The model."""
        from pydantic import ValidationError

        try:
            # From JSON rather than from its value: models that are strict take times and tuples only from there.
            return self._adapter.validate_json(_json.dumps(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
            raise Misfit(first["msg"], path) from None

    def dump(self, value: Any) -> Any:
        """Its fields."""
        _check(value, self._cls)
        try:
            return self._adapter.dump_python(value, mode="json", by_alias=True, warnings="error")
        except ValueError as error:
            raise Misfit(str(error)) from error


class MsgspecShape:
    """Validates as msgspec does."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def load(self, value: Any) -> Any:
        """The struct."""
        import msgspec

        try:
            return msgspec.convert(value, self._cls)
        except msgspec.ValidationError as error:
            told, _, place = str(error).partition(" - at `$")
            raise Misfit(told, place.removesuffix("`")) from None

    def dump(self, value: Any) -> Any:
        """Its fields."""
        import msgspec

        _check(value, self._cls)
        try:
            return msgspec.to_builtins(value)
        except TypeError as error:
            raise Misfit(str(error)) from error


def _check(value: Any, cls: Any) -> None:
    """A Page[Town] is of the class Page."""
    kind = getattr(cls, "__origin__", cls)
    if not isinstance(value, kind):
        raise Misfit(f"must be {kind.__name__}, got {type(value).__name__}")
