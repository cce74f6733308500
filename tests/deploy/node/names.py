"""The cluster's DNS: knows the names of Services and nothing else."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

TTL = 5
PORT = 53


class Names(asyncio.DatagramProtocol):
    """Answers from `records`, addresses by name, as they are when it is asked."""

    def __init__(self) -> None:
        self.records: Mapping[str, Sequence[str]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def listen(self, address: str) -> None:
        """Serve on the DNS port of this address."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(address, PORT))

    def close(self) -> None:
        """Stop answering."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(self._answer(dns.message.from_wire(data)).to_wire(), addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AA
        (question,) = query.question
        addresses = self.records.get(question.name.to_text(omit_final_dot=True).lower())
        if addresses is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A and addresses:
            reply.answer.append(dns.rrset.from_text(question.name, TTL, "IN", "A", *addresses))
        return reply
