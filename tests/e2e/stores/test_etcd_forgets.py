"""etcd forgets: it is replaced by an empty one, or it is full and has lost its leases. Nobody is taken for dead."""

import shutil
import signal
import time

from taskyard import TaskHandle, TaskRequest
from tests.e2e.conftest import Figure
from tests.e2e.dev_cluster import DevCluster
from tests.e2e.eventually import eventually
from tests.e2e.long_tasks import LongTasks
from tests.e2e.own_stores import OwnStores, ask_etcd, end, passed, start_again

LEADS_AGAIN = 10.0
LONGER_THAN_ANY_PATIENCE = 35.0

GIVEN_UP = "SELECT id, end_reason FROM taskyard.session WHERE NOT live AND ended_at > $1"


async def newest_term(cluster: DevCluster) -> int:
    return int((await cluster.records.fetch("SELECT term FROM taskyard.leader"))[0][0])


async def test_another_etcd_has_a_leader_soon_and_costs_no_task_another_run(
    cluster: DevCluster, stores: OwnStores, figure: Figure
) -> None:
    await cluster.whole()
    sessions = {worker["session_id"] for worker in (await cluster.workers()).values()}
    long = await LongTasks.start(cluster.client, count=20, seconds=LONGER_THAN_ANY_PATIENCE)
    before, since = await newest_term(cluster), await cluster.records.now()
    outcomes = await cluster.client.submit_many([TaskRequest("demo.echo", 1, delay=n / 5) for n in range(25)])
    delayed = [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
    await end(stores.etcd, signal.SIGKILL)
    shutil.rmtree(stores.etcd.directory)
    await start_again(stores.etcd)
    back = time.monotonic()

    async def leads() -> bool:
        leader = await cluster.leader()
        return leader is not None and int(leader["term"]) == await newest_term(cluster) > before

    await eventually(leads, within=LEADS_AGAIN)
    figure("another etcd until somebody led (s)", time.monotonic() - back)
    await eventually(lambda: cluster.records.all_ended(delayed), within=LEADS_AGAIN)
    await long.ended(within=LONGER_THAN_ANY_PATIENCE + 20)
    assert {worker["session_id"] for worker in (await cluster.workers()).values()} == sessions
    assert await cluster.records.fetch(GIVEN_UP, since) == []
    assert await cluster.records.not_once([*long.ids, *delayed]) == []
    # No candidacy after the other: registrations of a few processes are all that was written.
    assert int(ask_etcd(stores, "maintenance/status")["header"]["revision"]) < 60
    await cluster.whole()


async def test_nobody_dies_of_an_etcd_that_is_full(cluster: DevCluster, stores: OwnStores) -> None:
    await cluster.whole()
    await eventually(cluster.leader, within=LEADS_AGAIN)
    since = await cluster.records.now()
    long = await LongTasks.start(cluster.client, count=20, seconds=LONGER_THAN_ANY_PATIENCE)
    full = {"memberID": ask_etcd(stores, "maintenance/status")["header"]["member_id"], "alarm": "NOSPACE"}
    ask_etcd(stores, "maintenance/alarm", action="ACTIVATE", **full)
    try:
        began = time.monotonic()
        prefix = {"key": "L3Rhc2t5YXJkL3Nlc3Npb25zLw==", "range_end": "L3Rhc2t5YXJkL3Nlc3Npb25zMA=="}
        registered = ask_etcd(stores, "kv/range", **prefix)["kvs"]
        for lease in {item["lease"] for item in registered}:
            ask_etcd(stores, "lease/revoke", ID=lease)
        assert "kvs" not in ask_etcd(stores, "kv/range", **prefix)
        await eventually(lambda: passed(began + LONGER_THAN_ANY_PATIENCE), within=LONGER_THAN_ANY_PATIENCE + 1)
        assert await cluster.leader() is not None
        assert "kvs" not in ask_etcd(stores, "kv/range", **prefix)
    finally:
        ask_etcd(stores, "maintenance/alarm", action="DEACTIVATE", **full)
    await long.ended(within=20)
    assert await cluster.records.fetch(GIVEN_UP, since) == []
    assert await cluster.records.not_once(long.ids) == []

    async def registered_again() -> bool:
        return len(ask_etcd(stores, "kv/range", **prefix).get("kvs", [])) == len(registered)

    await eventually(registered_again, within=20)
