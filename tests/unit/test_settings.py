"""What a role is told: where from, which mistakes are named, and that no secret is shown."""

import itertools
import re
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from taskyard_core.runtime.settings import StoreSettings
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.timing import DispatchTiming, DutyTiming
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_server.command import app
from taskyard_server.configuration import read_settings, unknown_variables

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def quiet_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "POSTGRES_URL", "REDIS_URL", "RETENTION"):
        monkeypatch.delenv(f"TASKYARD_{name}", raising=False)


def told(**values: Any) -> SchedulerSettings:
    return SchedulerSettings(**values)


def test_a_flag_names_the_file_and_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("retention: 1\nleader_ttl: 11\nredis_prefix: one\n")
    two.write_text("retention: 2\nleader_ttl: 12\nredis_prefix: two\nmax_backlog: 7\n")
    monkeypatch.setenv("TASKYARD_CONFIG", str(one))
    monkeypatch.setenv("TASKYARD_RETENTION", "3")
    by_variable = read_settings(DispatcherSettings, [], "taskyard-server dispatcher")
    assert (by_variable.retention, by_variable.leader_ttl, by_variable.redis_prefix) == (3, 11, "one")
    by_flag = read_settings(DispatcherSettings, ["--config", str(two), "--leader-ttl=5"], "taskyard-server dispatcher")
    assert (by_flag.retention, by_flag.leader_ttl, by_flag.redis_prefix) == (3, 5, "two")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--postgres-url", f"postgresql://u:{SECRET}@h:x/db"], "postgres_url: has something that is no port"),
        (["--redis-url", f"redis://:{SECRET}"], "redis_url: has something that is no port"),
        (["--etcd-endpoints", f"http://u:{SECRET}@h:2379"], "an etcd endpoint has no user or password in it"),
        (["--etcd-endpoints", "etcd"], "an etcd endpoint is host:port"),
        (["--etcd-endpoints", "::1:2379"], "brackets around an IPv6 address"),
        (["--etcd-password", SECRET], "needs both etcd_user and etcd_password"),
        (["--postgres-ulr", f"postgresql://u:{SECRET}@h/db"], "no flag --postgres-ulr; did you mean --postgres-url?"),
        ([f"--postgres-ulr=postgresql://u:{SECRET}@h/db"], "no flag --postgres-ulr; did you mean --postgres-url?"),
        ([f"postgresql://u:{SECRET}@h/db"], "an argument that belongs to no flag"),
        (["--postgres-connections", SECRET], "postgres_connections: Input should be a valid integer"),
        (["--rest-address", "8080"], "rest_address: '8080' is no host:port"),
        (["--rest-address", "::1:8080"], "an IPv6 address needs brackets, as in [::1]:8080"),
        (["--rest-address"], "rest_address: needs a value after --rest-address"),
        (["--rest-address", "--max-backlog", "5"], "rest_address: needs a value after --rest-address"),
        (
            ["--etcd-password", "-secret"],
            "etcd_password: needs a value after --etcd-password; write --etcd-password=VALUE",
        ),
        (["--config", "/nowhere.yaml"], "config: /nowhere.yaml cannot be read: No such file or directory"),
    ],
)
def test_a_mistake_is_named_and_no_secret_shown(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        read_settings(SchedulerSettings, arguments, "taskyard-server scheduler")
    assert ended.value.exit_code == 2
    shown = capsys.readouterr()
    assert f"taskyard-server scheduler: {said}" in shown.err or said in shown.err
    assert SECRET not in shown.err + shown.out


@pytest.mark.parametrize("content", [f"postgres_url: [{SECRET}", f"- {SECRET}", f"postgres_url: '{SECRET}'", "\x00"])
def test_a_file_that_makes_no_sense_is_named(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "taskyard.yaml"
    file.write_text(content)
    with pytest.raises(typer.Exit):
        read_settings(SchedulerSettings, ["--config", str(file)], "taskyard-server scheduler")
    shown = capsys.readouterr().err
    assert str(file) in shown or "postgres_url" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("role", [SchedulerSettings, DispatcherSettings])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e10])
def test_no_time_is_longer_than_stores_and_timers_can_count(role: type[StoreSettings], value: float) -> None:
    times = {name for name, field in role.model_fields.items() if field.annotation is float}
    assert "metrics_interval" in times
    taken = set[str]()
    for name in times:
        with suppress(ValidationError):
            role.model_validate({name: value})
            taken.add(name)
    assert not taken


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        # Postgres would take it for no limit at all.
        (SchedulerSettings, "list_timeout", 0.0001),
        # Beyond what it takes.
        (SchedulerSettings, "list_timeout", 3e6),
        (DispatcherSettings, "duty_page", 2**31),
    ],
)
def test_what_postgres_does_not_take_is_refused_at_start(role: type[StoreSettings], name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        role.model_validate({name: value})


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKYARD_POSTGRES_URL", f"postgresql://u:{SECRET}@h/db")
    monkeypatch.setenv("TASKYARD_REDIS_URL", f"redis://:{SECRET}@h/0")
    settings = told(etcd_user="u", etcd_password=SECRET)
    assert SECRET not in repr(settings) + str(settings) + repr(settings.etcd)
    with pytest.raises(ValidationError) as raised:
        told(postgres_url=f"postgresql://u:{SECRET}@h:x", postgres_connections=0)
    assert SECRET not in "".join(traceback.format_exception(raised.value)).replace("{SECRET}", "")


def test_an_etcd_user_reaches_the_client() -> None:
    etcd = told(etcd_user="taskyard", etcd_password="hush").etcd
    assert (etcd.username, etcd.password) == ("taskyard", "hush")
    assert told().etcd.username is None


def test_variables_that_nobody_reads_are_told(tmp_path: Path) -> None:
    file = tmp_path / "taskyard.yaml"
    file.write_text("postgres_uri: x\nmax_backlog: 1\nheartbeat_interval: 1\n")
    told = unknown_variables(
        {
            "TASKYARD_POSTGRES_URI": SECRET,
            "TASKYARD_XYZZY": SECRET,
            "TASKYARD_POSTGRES_URL": SECRET,
            "TASKYARD_HEARTBEAT_INTERVAL": "3",
            "TASKYARD_LOG_LEVEL": "INFO",
            "TASKYARD_WORKER_SLOTS": "3",
            "TASKYARD_TLS_CA": "x",
            "PATH": "/bin",
            # Kubernetes', for a Service that is named taskyard-scheduler.
            "TASKYARD_SCHEDULER_SERVICE_HOST": "10.0.0.1",
            "TASKYARD_SCHEDULER_SERVICE_PORT": "80",
            "TASKYARD_SCHEDULER_SERVICE_PORT_GRPC": "80",
            "TASKYARD_SCHEDULER_PORT": "tcp://10.0.0.1:80",
            "TASKYARD_SCHEDULER_PORT_7070_TCP": "tcp://10.0.0.1:7070",
            "TASKYARD_SCHEDULER_PORT_7070_TCP_ADDR": "10.0.0.1",
        },
        str(file),
    )
    assert told == [
        "TASKYARD_POSTGRES_URI is no setting, and is ignored; did you mean TASKYARD_POSTGRES_URL?",
        "TASKYARD_XYZZY is no setting, and is ignored",
        f"'postgres_uri' in {file} is no setting, and is ignored; did you mean postgres_url?",
    ]


def test_every_variable_that_the_project_sets_or_tells_of_is_known() -> None:
    places = ("docs/*.md", "helm/taskyard/templates/**/*", "deploy/**/*.yaml", "Dockerfile", "taskyard_server/**/*.py")
    texts = [path.read_text() for place in places for path in ROOT.glob(place) if path.is_file()]
    named = {name for text in texts for name in re.findall(r"\bTASKYARD_[A-Z_]*[A-Z]\b", text)}
    assert "TASKYARD_POSTGRES_URL" in named
    assert unknown_variables(dict.fromkeys(named - {"TASKYARD_POSTGRES_URI"}, "x")) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"postgres_url: postgresql://u:{SECRET}@h:x/db", "postgres_url has something that is no port"),
        ("redis_url: redis://h", "postgres_url: is not in "),
        ("[", "is no YAML"),
        (None, "postgres_url: is required, as --postgres-url"),
    ],
)
def test_migrate_reads_the_file_that_servers_read(
    content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "taskyard.yaml"
    file.write_text(content or "")
    monkeypatch.setenv("TASKYARD_CONFIG", str(file) if content else "")
    answer = CliRunner().invoke(app, ["migrate"])
    assert (answer.exit_code, said in answer.output) == (2, True)
    assert SECRET not in answer.output
    assert len(answer.output.splitlines()) == 1


def test_what_is_set_is_what_the_parts_of_a_dispatcher_are_timed_by() -> None:
    as_it_comes = DispatcherSettings.model_validate({})
    assert (as_it_comes.dispatch, as_it_comes.duties) == (DispatchTiming(), DutyTiming())
    names = ("poll_interval", "reclaim_after", "duty_timeout", "duty_page", "audit_interval")
    values = dict(zip((*names, "lane_retention"), itertools.count(15)), queue_retention=7200)
    told = DispatcherSettings.model_validate(values)
    assert told.dispatch == DispatchTiming(poll=15, reclaim_idle=16)
    assert told.duties == DutyTiming(bound=17, page=18, audit_interval=19, lane_unused=20, queue_unused=7200)


def test_a_queue_that_is_used_cannot_be_forgotten() -> None:
    with pytest.raises(ValidationError, match="queue_retention"):
        DispatcherSettings.model_validate({"queue_retention": 7199})


NUMBERS = [
    (kind, name)
    for kind in (DispatcherSettings, SchedulerSettings)
    for name, field in kind.model_fields.items()
    # Both are only compared with what is counted.
    if field.annotation in (int, float) and name not in ("max_backlog", "max_lanes")
]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "-1", str(2**31), str(2**63), str(10**30)])
@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_numbers_that_no_store_or_message_has_room_for_are_refused(
    kind: type[DispatcherSettings | SchedulerSettings], name: str, value: str
) -> None:
    with pytest.raises(typer.Exit):
        read_settings(kind, [f"--{name.replace('_', '-')}={value}"], "taskyard-server")


def test_all_numbers_are_held_to_what_there_is_room_for() -> None:
    assert {name for _, name in NUMBERS} >= {"heartbeat_interval", "duty_page", "leader_ttl", "list_timeout"}
