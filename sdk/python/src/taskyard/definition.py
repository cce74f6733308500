"""A task type with the types of its input and output, shared by those who submit it and those who run it."""

from collections.abc import Coroutine
from functools import cached_property
from typing import Any, Generic, TypeVar, Unpack, cast, overload

from taskyard._misfit import Misfit
from taskyard._shapes import Shape, shape_of
from taskyard.client import Client
from taskyard.errors import FieldViolation, InvalidArgument, UnexpectedResult
from taskyard.handle import TypedHandle
from taskyard.models import TaskOptions, TaskRequest
from taskyard.sync import SyncClient, SyncTypedHandle

In = TypeVar("In")
Out = TypeVar("Out")


class TaskDefinition(Generic[In, Out]):
    """What `task` makes. `type` is the task type, `options` what its submits take unless they say otherwise."""

    def __init__(self, type: str, input: Any, output: Any, options: TaskOptions) -> None:
        self.type = type
        self.input = input
        self.output = output
        self.options = options

    def __repr__(self) -> str:
        return f"<task {self.type}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskDefinition, (self.type, self.input, self.output, self.options)

    @overload
    def submit(
        self, client: Client, payload: In, **options: Unpack[TaskOptions]
    ) -> Coroutine[Any, Any, TypedHandle[Out]]: ...
    @overload
    def submit(self, client: SyncClient, payload: In, **options: Unpack[TaskOptions]) -> SyncTypedHandle[Out]: ...
    def submit(self, client: Client | SyncClient, payload: In, **options: Unpack[TaskOptions]) -> Any:
        """Hand over one task; to be awaited with a `Client`. See `Client.submit`.

        Raises InvalidArgument naming the field if the payload is not what the definition says.
        """
        wanted = self.options | options
        if isinstance(client, SyncClient):
            submitted = client.submit(self.type, self.dump_payload(payload), **wanted)
            return SyncTypedHandle(submitted, self.load_result)
        return self._submit(client, self.dump_payload(payload), wanted)

    async def _submit(self, client: Client, payload: Any, options: TaskOptions) -> TypedHandle[Out]:
        return TypedHandle(await client.submit(self.type, payload, **options), self.load_result)

    @overload
    def handle(self, client: Client, id: str) -> TypedHandle[Out]: ...
    @overload
    def handle(self, client: SyncClient, id: str) -> SyncTypedHandle[Out]: ...
    def handle(self, client: Client | SyncClient, id: str) -> Any:
        """A handle on a task of this type that was submitted earlier or elsewhere."""
        if isinstance(client, SyncClient):
            return SyncTypedHandle(client.handle(id), self.load_result)
        return TypedHandle(client.handle(id), self.load_result)

    def request(self, payload: In, **options: Unpack[TaskOptions]) -> TaskRequest:
        """One task for `submit_many`; raises InvalidArgument as `submit` does."""
        return TaskRequest(self.type, self.dump_payload(payload), **(self.options | options))

    def dump_payload(self, payload: In) -> Any:
        """What JSON can express of a payload; raises InvalidArgument naming the field that does not fit."""
        try:
            return self._input.dump(payload)
        except Misfit as misfit:
            violation = FieldViolation(f"payload{misfit.path}", misfit.told)
            raise InvalidArgument(violations=[violation]) from misfit

    def load_payload(self, value: Any) -> In:
        """The input of a payload's JSON value; raises ValueError saying where it does not fit."""
        return cast("In", self._input.load(value))

    def dump_result(self, result: Out) -> Any:
        """What JSON can express of a result; raises ValueError saying where it does not fit."""
        return self._output.dump(result)

    def load_result(self, value: Any) -> Out:
        """The output of a result's JSON value; raises UnexpectedResult saying where it does not fit."""
        try:
            return cast("Out", self._output.load(value))
        except Misfit as misfit:
            raise UnexpectedResult(
                f"{self.type} returned something else than its definition says: {misfit}"
            ) from misfit

    def check(self) -> None:
        """Raise TypeError for an input or output that JSON has no form of."""
        _ = self._input, self._output

    # At first use: a module may name types that it defines further down.

    @cached_property
    def _input(self) -> Shape:
        return shape_of(self.input)

    @cached_property
    def _output(self) -> Shape:
        return shape_of(self.output)


@overload
def task(type: str, input: type[In], output: type[Out], **options: Unpack[TaskOptions]) -> TaskDefinition[In, Out]: ...
@overload
def task(
    type: str, input: type[In], output: None = None, **options: Unpack[TaskOptions]
) -> TaskDefinition[In, None]: ...
@overload
def task(type: str, input: None, output: None = None, **options: Unpack[TaskOptions]) -> TaskDefinition[None, None]: ...
@overload
def task(type: str, input: None, output: type[Out], **options: Unpack[TaskOptions]) -> TaskDefinition[None, Out]: ...
@overload
def task(type: str, input: Any, output: Any = None, **options: Unpack[TaskOptions]) -> TaskDefinition[Any, Any]: ...
def task(type: str, input: Any, output: Any = None, **options: Unpack[TaskOptions]) -> TaskDefinition[Any, Any]:
    """Define a task type once, for submitters and workers alike:

        greet = task("town.greet", Town, str)

    Input and output are dataclasses, TypedDicts, enums, models of pydantic, structs of msgspec, `str`, `int`, `float`,
    `bool`, None, times, UUIDs, and lists, tuples, dicts and unions of all these. `options` are defaults for its
    submits. Type checkers can't follow a union here; write what it makes beside the name, such as
    `find: TaskDefinition[int, str | None] = task("find", int, str | None)`.
    """
    return TaskDefinition(type, input, output, options)
