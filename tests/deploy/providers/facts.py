"""What providers know: schemas in the form of `terraform providers schema -json`, and what does not fit them."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.terraform.source import Block, Body, content, unquoted

PROVIDERS = Path(__file__).parent

# Terraform's own, of every resource and of every provider.
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "alias"}


@functools.cache
def known(kind: str) -> Body:
    """The schemas of the provider that a type, or the provider itself, belongs to."""
    facts: Body = json.loads((PROVIDERS / f"{kind.partition('_')[0]}.json").read_text())
    return facts


def leads(schema: Any, path: list[str]) -> bool:
    """Whether there is such an attribute, nested ones too; brackets are not in the path."""
    if not path:
        return True
    head, *rest = path
    match schema:
        case {"block_types": blocks} if head in blocks:
            return leads(blocks[head]["block"], rest)
        case {"attributes": attributes} if head in attributes:
            return leads(attributes[head].get("nested_type") or attributes[head]["type"], rest)
        case ["list" | "set", of]:
            return leads(of, path)
        case ["map", of]:
            return leads(of, rest)
        case ["object", members]:
            return head in members and leads(members[head], rest)
    return False


def misfits(block: Block) -> Iterator[str]:
    """What the provider would not understand of a block, or miss."""
    body = {key: value for key, value in block.body.items() if key not in META}
    yield from _misfits(str(block), body, known(block.kind)[block.section][block.kind])


def _misfits(where: str, body: Body, schema: Body) -> Iterator[str]:
    inner = [pair for key, value in content(body).items() if _is_block(key, value) for pair in _opened(key, value)]
    arguments = {key for key, value in content(body).items() if not _is_block(key, value)}
    for name, below in inner:
        if name in schema["block_types"]:
            yield from _misfits(f"{where}.{name}", below, schema["block_types"][name]["block"])
        else:
            yield f"{where} has no block {name}"
    for key in arguments:
        of = schema["attributes"].get(key, {})
        if not (of.get("optional") or of.get("required")):
            yield f"{where} has no argument {key}"
    required = {name for name, of in schema["attributes"].items() if of.get("required")}
    required |= {name for name, of in schema["block_types"].items() if of.get("min_items")}
    if missing := required - arguments - {name for name, _ in inner}:
        yield f"{where} lacks {sorted(missing)}"


def _is_block(key: str, value: Any) -> bool:
    """Whether it was written without `=`."""
    return key == "dynamic" or (isinstance(value, list) and any("__is_block__" in one for one in value if one))


def _opened(key: str, blocks: list[Body]) -> Iterator[tuple[str, Body]]:
    """The blocks with their names, those that `dynamic` makes too."""
    for block in blocks:
        if key == "dynamic":
            yield from ((unquoted(name), body["content"][0]) for name, body in content(block).items())
        else:
            yield key, block
