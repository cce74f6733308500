"""Commands and scripts that share one round trip."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError
from redis.typing import EncodableT

from taskyard_core.storage.redis.connection import available, translated
from taskyard_core.storage.redis.script import Script

Command = tuple[EncodableT, ...]


class Batch:
    """Commands that are sent together and run in this order, but not as a transaction."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._commands: list[Command] = []
        self._scripts: dict[int, Script] = {}

    def add(self, *command: EncodableT) -> Self:
        """Adds a command that may be sent twice, when a script before it was not known to the server."""
        self._commands.append(command)
        return self

    def call(self, script: Script, keys: Sequence[str], arguments: Iterable[EncodableT]) -> Self:
        """Adds a call of a script."""
        self._scripts[len(self._commands)] = script
        self._commands.append(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        return self

    async def send(self) -> list[Any]:
        """The replies in order, raw: ints, bytes, lists, None.

        Raises StoreUnavailable when the server is away or refused a command; the others have then run or not.
        """
        async with available(self._redis):
            replies = await self._exchange(self._commands)
            unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                await self._again(unknown, replies)
            for at, reply in enumerate(replies):
                if isinstance(reply, RedisError):
                    raise translated(reply, self._named(at)) from reply
        return replies

    def _named(self, at: int) -> str:
        """What was asked, as far as a log should tell: the command or script, and its first key."""
        command, script = self._commands[at], self._scripts.get(at)
        key = command[3:4] if script else command[1:2]
        return " ".join(str(word)[:200] for word in ("in", script.name if script else command[0], *key))

    async def _again(self, unknown: Sequence[int], replies: list[Any]) -> None:
        """Loads the scripts the server did not know and sends again what they held up."""
        places = [at for at in range(unknown[0], len(replies)) if at in set(unknown) or at not in self._scripts]
        loads: list[Command] = [("SCRIPT", "LOAD", script.source) for script in {self._scripts[at] for at in unknown}]
        answers = await self._exchange(loads + [self._commands[at] for at in places])
        for answer in answers[: len(loads)]:
            if isinstance(answer, RedisError):
                raise translated(answer, "in SCRIPT LOAD") from answer
        for at, answer in zip(places, answers[len(loads) :], strict=True):
            replies[at] = answer

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))
