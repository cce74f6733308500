"""The plan of a development cluster, its ports, its labels and its restarts."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from taskyard_server.dev.command import parse_worker_labels
from taskyard_server.dev.plan import ClusterOptions, Plan, PlanError, RoleCommands, StoreAddresses, choose_ports
from taskyard_server.dev.plan import make_plan as plan_of
from taskyard_server.dev.restart import Restart

STORES = StoreAddresses("postgresql://p", "redis://r", "e1:2379,e2:2379")
COMMANDS = RoleCommands(migrate=("m",), scheduler=("s",), dispatcher=("d",), worker=("w",))


def free_ports() -> Callable[[], int]:
    numbers = count(20000)
    return lambda: next(numbers)


def make_plan(options: ClusterOptions, environment: dict[str, str] | None = None) -> Plan:
    ports = choose_ports(options, lambda port: True, free_ports())
    return plan_of(options, ports, STORES, environment or {}, COMMANDS)


def options(**fields: int) -> ClusterOptions:
    return ClusterOptions(directory=Path("/state"), **fields)  # type: ignore[arg-type]


def test_default_cluster() -> None:
    plan = make_plan(options())
    assert [spec.name for spec in plan.schedulers] == ["scheduler-1"]
    assert [spec.name for spec in plan.dispatchers] == ["dispatcher-1", "dispatcher-2", "dispatcher-3"]
    assert [spec.name for spec in plan.workers] == ["worker-1", "worker-2"]
    assert (plan.rest, plan.grpc) == ("http://127.0.0.1:8080", "127.0.0.1:7070")
    assert plan.dispatchers[0].addresses["session"] == "127.0.0.1:7071"


def test_a_scheduler_is_told_its_stores_and_addresses() -> None:
    spec = make_plan(options(schedulers=2)).schedulers[1]
    assert spec.argv == ("s",)
    assert spec.log == Path("/state/logs/scheduler-2.log")
    assert spec.addresses == {"rest": "http://127.0.0.1:20000", "grpc": "127.0.0.1:20001"}
    assert spec.environment == {
        "PYTHONUNBUFFERED": "1",
        "TASKYARD_ETCD_ENDPOINTS": "e1:2379,e2:2379",
        "TASKYARD_GRPC_ADDRESS": "127.0.0.1:20001",
        "TASKYARD_POD_NAME": "scheduler-2",
        "TASKYARD_POSTGRES_URL": "postgresql://p",
        "TASKYARD_REDIS_URL": "redis://r",
        "TASKYARD_REST_ADDRESS": "127.0.0.1:20000",
    }


def test_a_worker_is_told_every_dispatcher_and_its_labels_and_nothing_of_the_stores() -> None:
    labels = {2: {"io": "ssd", "zone": "a"}}
    plan = make_plan(ClusterOptions(directory=Path("/state"), dispatchers=2, worker_labels=labels, slots=3))
    environment = plan.workers[1].environment
    sessions = [spec.addresses["session"] for spec in plan.dispatchers]
    assert environment["TASKYARD_DISPATCHERS"] == ",".join(sessions)
    assert environment["TASKYARD_WORKER_NAME"] == "worker-2"
    assert environment["TASKYARD_WORKER_LABELS"] == "io=ssd,zone=a"
    assert environment["TASKYARD_WORKER_SLOTS"] == "3"
    assert "TASKYARD_POSTGRES_URL" not in environment
    assert plan.workers[0].environment["TASKYARD_WORKER_LABELS"] == ""


def test_children_inherit_settings_but_no_planned_ones() -> None:
    shell = {"PATH": "/bin", "TASKYARD_LOG_LEVEL": "debug", "TASKYARD_POSTGRES_URL": "postgresql://production"}
    shell |= {"TASKYARD_DEV_POSTGRES_URL": "postgresql://p", "TASKYARD_ETCD_PASSWORD": "secret"}
    plan = make_plan(options(), shell)
    assert plan.workers[0].environment["TASKYARD_LOG_LEVEL"] == "debug"
    for name in ("TASKYARD_POSTGRES_URL", "TASKYARD_DEV_POSTGRES_URL", "TASKYARD_ETCD_PASSWORD"):
        assert name not in plan.workers[0].environment
    assert plan.migrate.environment["TASKYARD_POSTGRES_URL"] == "postgresql://p"


@given(
    schedulers=st.integers(1, 5),
    dispatchers=st.integers(1, 5),
    rest_port=st.sampled_from([0, 8080]),
    session_port=st.sampled_from([0, 7071]),
)
def test_no_port_is_given_twice(schedulers: int, dispatchers: int, rest_port: int, session_port: int) -> None:
    asked = options(schedulers=schedulers, dispatchers=dispatchers, rest_port=rest_port, session_port=session_port)
    ports = choose_ports(asked, lambda port: True, free_ports())
    given_ports = [*ports.rest, *ports.grpc, *ports.session, *ports.http]
    assert len(set(given_ports)) == len(given_ports) == 2 * schedulers + 2 * dispatchers
    assert 0 not in given_ports


@pytest.mark.parametrize(("port", "flag"), [(8080, "--rest-port"), (7070, "--grpc-port"), (7071, "--session-port")])
def test_a_taken_port_is_refused_by_number_and_flag(port: int, flag: str) -> None:
    with pytest.raises(PlanError, match=rf"port {port} is already in use: give {flag} another one"):
        choose_ports(options(), lambda candidate: candidate != port, free_ports())


def test_a_port_asked_for_twice_is_refused() -> None:
    with pytest.raises(PlanError, match=r"port 8080 is asked for twice: give --grpc-port another one"):
        choose_ports(options(grpc_port=8080), lambda port: True, free_ports())


def test_labels_for_a_worker_that_there_is_not_are_refused() -> None:
    with pytest.raises(PlanError, match=r"--worker-label 3:… : there are 2 workers"):
        make_plan(ClusterOptions(directory=Path("/state"), worker_labels={3: {"io": "ssd"}}))


def test_worker_labels_are_read_by_number() -> None:
    parsed = parse_worker_labels(["4:io=ssd", "4:zone=a", "1:arch=x=y"])
    assert parsed == {4: {"io": "ssd", "zone": "a"}, 1: {"arch": "x=y"}}


@pytest.mark.parametrize("text", ["io=ssd", "4:io", "4:=ssd", "x:io=ssd", "4:io=a,b=c", "", "-1:io=ssd"])
def test_bad_worker_labels_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not NUMBER:NAME=VALUE"):
        parse_worker_labels([text])


@given(first=st.floats(0.01, 1), ends=st.integers(1, 10_000))
def test_restart_delays_double_up_to_a_limit(first: float, ends: int) -> None:
    restart = Restart(first=first, longest=10.0)
    assert restart.delay(1) == first
    assert restart.delay(ends) <= restart.delay(ends + 1) <= 10.0
    assert restart.delay(64) == 10.0
