"""The Terraform modules, parsed: what they ask for, make and tell, and what refers to what."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
from hcl2.utils import SerializationOptions

ROOT = Path(__file__).parent
MODULES = ("aws", "gcp", "release")

Body = dict[str, Any]

_FOR = re.compile(r"\bfor ([\w-]+)(?:, ([\w-]+))? in\b")
_BRACKETS = re.compile(r"\[([^][]*)\]")
_CHAIN = re.compile(r"(?<![\w.-])[a-z_][\w-]*(?:\.[\w-]+)+")


@dataclass(frozen=True)
class Block:
    """One `resource`, `data` or `provider` of a module."""

    section: str
    kind: str
    name: str
    body: Body

    def __str__(self) -> str:
        return ".".join(filter(None, ("data" if self.section == "data" else "", self.kind, self.name)))


class Module:
    """All files of one module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        options = SerializationOptions(with_comments=False, explicit_blocks=True)
        self.parts: dict[str, list[Body]] = {}
        for file in sorted(path.glob("*.tf")):
            with file.open() as stream:
                for section, blocks in hcl2.load(stream, serialization_options=options).items():
                    self.parts.setdefault(section, []).extend(blocks)
        self.variables = self._named("variable")
        self.outputs = self._named("output")
        self.modules = self._named("module")
        self.locals = {key: value for part in self.parts.get("locals", []) for key, value in content(part).items()}
        self.blocks = [
            Block(section, unquoted(kind), unquoted(name), body)
            for section in ("resource", "data")
            for part in self.parts.get(section, [])
            for kind, named in part.items()
            for name, body in named.items()
        ] + [Block("provider", name, "", body) for name, body in self._named("provider").items()]

    def __repr__(self) -> str:
        return self.path.name

    def _named(self, section: str) -> dict[str, Body]:
        return {unquoted(name): body for part in self.parts.get(section, []) for name, body in part.items()}

    @property
    def required(self) -> dict[str, dict[str, str]]:
        """Source and version of each provider."""
        (terraform,) = self.parts["terraform"]
        (providers,) = terraform["required_providers"]
        return {
            name: {key: unquoted(value) for key, value in wanted.items()} for name, wanted in content(providers).items()
        }

    def uses(self) -> set[tuple[str, str]]:
        """(`resource` or `data`, type) of what it makes and reads."""
        return {(block.section, block.kind) for block in self.blocks}

    def of(self, *kinds: str) -> list[Block]:
        """Its resources of these types."""
        return [block for block in self.blocks if block.section == "resource" and block.kind in kinds]

    def chains(self) -> Iterator[tuple[str, list[str]]]:
        """Each reference to something with a name, in parts, e.g. `["var", "name"]`, after what it stands in."""
        for section, parts in self.parts.items():
            for part in parts:
                for text, iterators in expressions(part, frozenset()):
                    bare = code(text)
                    inner = iterators | {name for pair in _FOR.findall(bare) for name in pair if name}
                    for chain in nested_chains(bare):
                        if chain[0] not in inner:
                            yield f"{self} {section}: {text}", chain


def code(text: str) -> str:
    """An expression without the words of its strings; what they interpolate stays."""
    kept, inside = [], [""]
    for match in re.finditer(r"\\.|\$\{|.", text, re.DOTALL):
        token = match[0]
        quoted = inside[-1] == '"'
        if token == '"':
            inside.pop() if quoted else inside.append('"')
        elif token == "${" or (token == "{" and not quoted):
            inside.append("{")
        elif token == "}" and not quoted:
            inside.pop()
        if not quoted or token in ('"', "${"):
            kept.append(token)
    return "".join(kept)


def nested_chains(text: str) -> Iterator[list[str]]:
    """The references in an expression without strings, those inside brackets first; brackets are not in them."""
    while inner := _BRACKETS.search(text):
        yield from (chain.split(".") for chain in _CHAIN.findall(inner[1]))
        text = text[: inner.start()] + text[inner.end() :]
    yield from (chain.split(".") for chain in _CHAIN.findall(text))


def expressions(value: Any, iterators: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """All expressions below, with the names that dynamic blocks around them give."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key == "ignore_changes":
                # Arguments of its own, which Terraform looks up itself.
                continue
            if key == "dynamic":
                for dynamic in below:
                    names = {unquoted(name) for name in dynamic if not name.startswith("__")}
                    yield from expressions(content(dynamic), iterators | names)
                continue
            yield from expressions(key, iterators)
            yield from expressions(below, iterators)
    elif isinstance(value, list):
        for below in value:
            yield from expressions(below, iterators)
    elif isinstance(value, str) and "${" in value:
        yield value, iterators


def unquoted(text: str) -> str:
    """What a literal says."""
    return json.loads(text) if text.startswith('"') else text


def content(body: Body) -> Body:
    """A block without the parser's marks."""
    return {key: value for key, value in body.items() if not key.startswith("__")}


@functools.cache
def module(name: str) -> Module:
    """One of the modules, parsed once."""
    return Module(ROOT / name)
