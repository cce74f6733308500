"""A plan is carried out through the cluster's protocol alone; what goes wrong is told, and everything is taken back."""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from chaos.backends.cluster import Capability, Cluster, Direction, Link, Part, Role, Toxic, Unsupported
from chaos.execution import Execution, heal_everything
from chaos.experiments import Step
from chaos.faults import all_faults
from chaos.history.events import Injected
from chaos.history.journal import Journal, read

LINKS = (Link("dispatcher-1", "redis"), Link("worker-1", "dispatcher-1"), Link("client", "scheduler-1"))
PRIMARIES = {Role.POSTGRES: "postgres-1", Role.REDIS: "redis-1", Role.ETCD: "etcd-1"}
COUNTS = {role: 3 if role is Role.ETCD else 2 for role in Role}


class Recording:
    """A cluster that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.capabilities = frozenset(Capability)
        self.links: Sequence[Link] = LINKS
        self.postgres_role = "servers"
        self.terminated = 0

    def parts(self, role: Role | None = None) -> Sequence[Part]:
        roles = Role if role is None else (role,)
        addresses = {"endpoint": "127.0.0.1:1"}
        return [Part(f"{each}-{number}", each, 1, addresses) for each in roles for number in range(1, COUNTS[each] + 1)]

    async def leader(self, role: Role = Role.DISPATCHER) -> str | None:
        # Whoever leads and is told to end makes way for the next.
        return f"{role}-{1 + self.terminated % 2}" if role is Role.DISPATCHER else PRIMARIES[role]

    async def signal(self, part: str, number: signal.Signals) -> None:
        self.told.append(("signal", part, number.name))
        self.terminated += number is signal.SIGTERM

    async def toxic(self, link: Link, kind: Toxic, attributes: Mapping[str, int], direction: Direction) -> None:
        self.told.append(("toxic", str(link), kind, direction))

    async def redis_command(self, *words: str | int) -> Any:
        self.told.append(("redis_command", *words))
        return ["0", [b"lane-1"]] if words[0] == "SCAN" else "OK"

    async def postgres_execute(self, sql: str) -> list[dict[str, Any]]:
        self.told.append(("postgres_execute", sql))
        return [{"one": sql}]

    def __getattr__(self, verb: str) -> Any:
        async def note(*words: object, **named: object) -> str:
            self.told.append((verb, *words, *named.values()))
            return "etcd-2"

        return note

    def verbs(self) -> list[str]:
        return [verb for verb, *_ in self.told]


def step(fault: str, target: str = "", at: float = 0.0, duration: float = 0.0) -> Step:
    return Step(at, fault, target or all_faults()[fault].targets[0], duration, 0.0, alone=False)


async def carried_out(cluster: Recording, directory: Path, *steps: Step) -> tuple[Execution, list[str]]:
    said: list[str] = []
    with Journal(directory / "faults.jsonl") as journal:
        execution = Execution(cast("Cluster", cluster), all_faults(), journal, say=said.append)
        await execution.run(steps)
    return execution, said


@pytest.mark.parametrize("fault", sorted(all_faults()))
async def test_every_fault_can_be_injected_and_taken_back(fault: str, tmp_path: Path) -> None:
    cluster = Recording()
    for number, target in enumerate(all_faults()[fault].targets):
        source, _, _ = target.partition(">")
        cluster.links = [*LINKS, *(Link(f"{source}-1" if source != "client" else source, f"{to}-1") for to in Role)]
        execution, said = await carried_out(cluster, tmp_path / str(number), step(fault, target))
        assert not said
        assert [record.error for record in execution.records(0.0)] == [None]
    assert cluster.told
    assert [told[1:] for told in cluster.told if told[0] == "etcd_full"] in ([], [(True,), (False,)])
    verbs = cluster.verbs()
    pairs = (("freeze", "thaw"), ("hold", "release"), ("exhaust_descriptors", "relieve"), ("toxic", "heal"))
    for begun, undone in pairs:
        assert begun not in verbs or undone in verbs[verbs.index(begun) :], verbs


async def test_what_was_done_is_in_the_journal_with_the_part_that_was_struck(tmp_path: Path) -> None:
    cluster = Recording()
    execution, _ = await carried_out(cluster, tmp_path, step("kill-leader"))
    assert cluster.told == [("signal", "dispatcher-1", "SIGKILL")]
    [event] = read(tmp_path / "faults.jsonl", 0.0)
    assert isinstance(event, Injected)
    assert (event.fault, event.target) == ("kill-leader", "dispatcher-1")
    assert event.healed is not None
    assert execution.done == 1


async def test_a_fault_that_fails_is_told_and_does_not_count(tmp_path: Path) -> None:
    class Refusing(Recording):
        async def signal(self, part: str, number: signal.Signals) -> None:
            raise Unsupported("not here")

    execution, said = await carried_out(Refusing(), tmp_path, step("kill-worker"), step("flush-redis"))
    assert said == ["fault kill-worker (worker) failed: Unsupported: not here"]
    assert execution.done == 1
    assert not execution.half_done
    assert [type(event) for event in read(tmp_path / "faults.jsonl", 0.0)] == [Injected]


async def test_faults_that_strain_the_same_wait_for_each_other(tmp_path: Path) -> None:
    cluster = Recording()
    await carried_out(cluster, tmp_path, step("freeze-redis", duration=0.05), step("freeze-redis", at=0.01))
    assert cluster.verbs() == ["freeze", "thaw", "freeze", "thaw"]


async def test_a_part_that_one_fault_has_is_left_alone_by_the_next(tmp_path: Path) -> None:
    cluster = Recording()
    await carried_out(cluster, tmp_path, step("freeze-worker", duration=0.05), step("freeze-worker", at=0.01))
    assert [told for told in cluster.told if told[0] == "freeze"] == [("freeze", "worker-1"), ("freeze", "worker-2")]


async def test_a_failed_change_of_environment_has_everything_restarted_in_the_end(tmp_path: Path) -> None:
    class Stuck(Recording):
        async def restart(self, part: str, *, environment: Mapping[str, str] | None = None) -> None:
            raise TimeoutError("did not end")

    execution, _ = await carried_out(Stuck(), tmp_path, step("deafen-worker"))
    assert execution.half_done
    cluster = Recording()
    await heal_everything(cast("Cluster", cluster), restart_all=True)
    restarted = {told[1] for told in cluster.told if told[0] == "restart"}
    assert restarted == {
        part.name for role in ("scheduler", "dispatcher", "worker") for part in cluster.parts(Role(role))
    }
    assert [told[1] for told in cluster.told if told[0] == "heal"] == list(LINKS)


async def test_a_failpoint_in_a_duty_is_armed_on_who_then_leads(tmp_path: Path) -> None:
    cluster = Recording()
    cluster.terminated = 1
    await carried_out(cluster, tmp_path, step("failpoint-duty-outbox", "stop"))
    assert cluster.told == [
        ("restart", "dispatcher-1", {"TASKYARD_FAILPOINTS": "duty-outbox=stop"}, None),
        ("signal", "dispatcher-2", "SIGTERM"),
        ("thaw", "dispatcher-1"),
        ("restart", "dispatcher-1", {"TASKYARD_FAILPOINTS": ""}, None),
    ]
