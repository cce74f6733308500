"""Providers that have a schema and nothing else, so that the real Terraform can check modules without its registry.

They speak what is needed of protocol 6: they tell their schema, and find nothing wrong with what fits that. They can't
plan or make anything; for that Terraform has mocks.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc

Schema = dict[str, Any]

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def field(number: int, value: bytes | str | int) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def attribute(name: str, of: Schema) -> bytes:
    """`Schema.Attribute`."""
    if nested := of.get("nested_type"):
        members = b"".join(field(1, attribute(*member)) for member in nested["attributes"].items())
        kind = field(10, members + field(3, NESTING[nested["nesting_mode"]]))
    else:
        kind = field(2, json.dumps(of["type"]))
    flags = (
        field(number, int(of.get(flag, False))) for number, flag in enumerate(("required", "optional", "computed"), 4)
    )
    return field(1, name) + kind + b"".join(flags)


def block(of: Schema) -> bytes:
    """`Schema.Block`."""
    attributes = b"".join(field(2, attribute(*one)) for one in of["attributes"].items())
    return attributes + b"".join(field(3, nested_block(*one)) for one in of["block_types"].items())


def nested_block(name: str, of: Schema) -> bytes:
    """`Schema.NestedBlock`."""
    limits = field(4, of.get("min_items", 0)) + field(5, of.get("max_items", 0))
    return field(1, name) + field(2, block(of["block"])) + field(3, NESTING[of["nesting_mode"]]) + limits


def schemas(known: Schema) -> bytes:
    """`GetProviderSchema.Response`."""
    provider = known.get("provider") or {"": {"attributes": {}, "block_types": {}}}
    answer = b"".join(field(1, field(2, block(one))) for one in provider.values())
    for number, section in ((2, "resource"), (3, "data")):
        for name, one in known.get(section, {}).items():
            answer += field(number, field(1, name) + field(2, field(2, block(one))))
    return answer


# Terraform asks whether what fits the schema is right as well; an empty answer says that it is.
CONTENT = [
    "ValidateProviderConfig",
    "ValidateResourceConfig",
    "ValidateDataResourceConfig",
    "GetResourceIdentitySchemas",
]


def always(answer: bytes) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """Answers the same to every call."""
    return grpc.unary_unary_rpc_method_handler(lambda _, __: answer)


@contextmanager
def serving(providers: list[Schema], folder: Path) -> Iterator[str]:
    """Runs these providers; yields what Terraform's TF_REATTACH_PROVIDERS must say to find them."""
    found = {}
    with ExitStack() as stack:
        for known in providers:
            methods = {method: always(b"") for method in CONTENT} | {"GetProviderSchema": always(schemas(known))}
            address = str(folder / known["source"].replace("/", "-"))
            server = grpc.server(ThreadPoolExecutor(4))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", methods),))
            server.add_insecure_port(f"unix:{address}")
            server.start()
            stack.callback(lambda server: server.stop(0).wait(), server)
            found[known["source"]] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "unix", "String": address},
            }
        yield json.dumps(found)
