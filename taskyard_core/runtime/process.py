"""A role's process: from its first line of log to its orderly stop."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import uvloop

from taskyard_core.runtime import failpoints, garbage
from taskyard_core.runtime.service import Part, Service
from taskyard_core.runtime.settings import StoreSettings
from taskyard_core.storage.identity import ForeignStore
from taskyard_core.telemetry.facade import Telemetry

_log = logging.getLogger(__name__)


class Role(Protocol):
    """What a process serves; `service` holds its parts."""

    service: Service

    async def start(self) -> Mapping[str, str]:
        """Serve, and tell where; raises OSError for an address that cannot be had, ForeignStore where clusters meet."""


class _NoAddress(Exception):
    """A port of the role is taken, or the address is not this machine's."""


def serve(
    role: str, id: str, settings: StoreSettings, make: Callable[[Telemetry], Role], remarks: Sequence[str]
) -> None:
    """Run a role until SIGTERM or SIGINT; the log begins with the remarks.

    SystemExit with a sentence where two clusters meet, or an address cannot be had.
    """
    try:
        uvloop.run(_serve(role, id, settings, make, remarks))
    except ForeignStore as error:
        raise SystemExit(f"taskyard-server {role} does not start: {error.detail}") from error
    except _NoAddress as error:
        raise SystemExit(f"taskyard-server {role} does not start: {error}") from error


async def _serve(
    role: str, id: str, settings: StoreSettings, make: Callable[[Telemetry], Role], remarks: Sequence[str]
) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    telemetry = Telemetry.for_role(role, pod=settings.pod_name, id=id)
    for remark in remarks:
        _log.warning(remark)
    failpoints.arm(settings.failpoints)
    server = make(telemetry)
    try:
        await server.service.start(Part("telemetry", stop=telemetry.close))
        try:
            addresses = await server.start()
        except OSError as error:
            raise _NoAddress(error) from error
        garbage.relax()
        _log.info("%s ready", role, extra=dict(addresses))
        await told.wait()
        _log.info("%s stops", role)
    finally:
        await server.service.stop()
