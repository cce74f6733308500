"""Reading and writing keys."""

import pytest

from taskyard_core.storage.etcd import Etcd, EtcdSettings, EtcdUnavailable
from taskyard_server.dev.port import free_port


async def test_nobody_there_is_an_error_within_the_deadline() -> None:
    settings = EtcdSettings(endpoints=(f"127.0.0.1:{free_port()}",), request_timeout=0.3, attempts=2)
    async with Etcd(settings) as nobody:
        with pytest.raises(EtcdUnavailable) as caught:
            await nobody.kv.put("/x", b"")
    assert not caught.value.sent
