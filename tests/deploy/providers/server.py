"""A provider that has a schema and nothing else, so that the real Terraform can check modules without its registry.

Terraform starts it as a program with the path of the schema. It speaks what is needed of protocol 6: it tells its
schema, and finds nothing wrong with what fits that. It can't plan or make anything; for that Terraform has mocks.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
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


def always(answer: bytes, then: Callable[[], None] = lambda: None) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """Answers the same to every call."""

    def respond(_: bytes, __: grpc.ServicerContext) -> bytes:
        then()
        return answer

    return grpc.unary_unary_rpc_method_handler(respond)


def main(path: Path) -> None:
    """Serves until Terraform says that it is done."""
    ended = Event()
    methods = {method: always(b"") for method in CONTENT}
    methods["GetProviderSchema"] = always(schemas(json.loads(path.read_text())))
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tfplugin6.Provider", methods),
            grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": always(b"", ended.set)}),
        )
    )
    with tempfile.TemporaryDirectory() as directory:
        address = f"{directory}/socket"
        server.add_insecure_port(f"unix:{address}")
        server.start()
        print(f"1|6|unix|{address}|grpc|", flush=True)
        ended.wait()
        server.stop(1).wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
