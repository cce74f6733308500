"""The pods' network: a bridge, with one end at the machine. It vanishes with the test, however that ends."""

import os
import subprocess
from collections import deque
from typing import Self

from tests.deploy.node.command import run
from tests.deploy.node.namespaces import Namespaces

# Reserved for measurements within a network: nobody is really there (RFC 2544).
RANGE = "198.18"


class Network:
    """Addresses in a network of its own, in which pods and the machine reach each other."""

    def __init__(self, number: int, switch: Namespaces) -> None:
        self._prefix = f"{RANGE}.{number}"
        self._link = _link(number)
        self._switch = switch
        self._for_pods = deque(range(2, 200))
        self._for_services = deque(range(200, 255))
        self.gateway = f"{self._prefix}.1"

    @classmethod
    async def make(cls) -> Self:
        """One that no other test uses."""
        switch = await Namespaces.make("switch")
        number = await _free_number(switch)
        network = cls(number, switch)
        inside = "link set lo up\nlink add br0 type bridge\nlink set br0 up\nlink set uplink master br0 up\n"
        await run(*switch.command("ip", "-batch", "-"), said=inside)
        outside = f"addr add {network.gateway}/24 dev {network._link}\nlink set {network._link} up\n"
        await run("ip", "-batch", "-", said=outside)
        return network

    async def join(self, pod: Namespaces) -> str:
        """Give a pod's namespaces an interface; returns its address."""
        number = self._for_pods.popleft()
        address, port = f"{self._prefix}.{number}", f"pod{number}"
        # The switch has processes of its own, so it knows the pod by no number: the machine hands the link over.
        await run(
            *("nsenter", f"--net=/proc/{self._switch.pid}/ns/net", "ip", "-batch", "-"),
            said=f"link add {port} type veth peer name eth0 netns {pod.pid}\nlink set {port} master br0 up\n",
        )
        inside = (
            f"link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {self.gateway}\n"
        )
        await run(*pod.command("ip", "-batch", "-"), said=inside)
        return address

    def leave(self, address: str) -> None:
        """A pod has gone: its address may be had again, though not soon."""
        self._for_pods.append(int(address.rpartition(".")[2]))

    async def service_address(self) -> str:
        """An address at the machine for a Service."""
        address = f"{self._prefix}.{self._for_services.popleft()}"
        await run("ip", "addr", "add", f"{address}/32", "dev", self._link)
        return address

    async def close(self) -> None:
        """Take it away."""
        await self._switch.close()


def _link(number: int) -> str:
    return f"taskyard{number}"


async def _free_number(switch: Namespaces) -> int:
    """The number of a link that was not there; making it is what reserves it."""
    for step in range(256):
        number = (os.getpid() + step) % 256
        try:
            await run(
                "ip", "link", "add", _link(number), "type", "veth", "peer", "name", "uplink", "netns", str(switch.pid)
            )
        except subprocess.CalledProcessError as error:
            if "File exists" not in error.output:
                raise
        else:
            return number
    raise RuntimeError("all networks for tests are in use")
