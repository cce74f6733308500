"""The fields that Chaos Mesh 2 takes, as its reference lists them; nothing else is let through."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

Duration = Annotated[str, StringConstraints(pattern=r"^-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+$")]
Percent = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d+)?$")]
Rate = Annotated[str, StringConstraints(pattern=r"^\d+(bps|kbps|mbps|gbps|tbps)$")]
Cron = Annotated[str, StringConstraints(pattern=r"^(@every \d+[smh]|(\S+ ){4}\S+)$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
Mode = Literal["one", "all", "fixed", "fixed-percent", "random-max-percent"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Selector(Strict):
    namespaces: list[str] = []
    label_selectors: dict[str, str] = {}
    pods: dict[str, list[str]] = {}

    @model_validator(mode="after")
    def selects_something(self) -> "Selector":
        assert self.label_selectors or self.pods, "would select every pod"
        return self


class Target(Strict):
    mode: Mode
    value: str | None = None
    selector: Selector


class Selected(Target):
    duration: Duration | None = None


class PodChaos(Selected):
    action: Literal["pod-kill", "pod-failure", "container-kill"]
    grace_period: int = 0
    container_names: list[str] = []


class Delay(Strict):
    latency: Duration
    jitter: Duration | None = None
    correlation: Percent | None = None


class Loss(Strict):
    loss: Percent
    correlation: Percent | None = None


class Bandwidth(Strict):
    rate: Rate
    limit: int = Field(ge=1)
    buffer: int = Field(ge=1)


class NetworkChaos(Selected):
    action: Literal["netem", "delay", "loss", "duplicate", "corrupt", "partition", "bandwidth"]
    direction: Literal["to", "from", "both"] = "to"
    target: Target | None = None
    delay: Delay | None = None
    loss: Loss | None = None
    bandwidth: Bandwidth | None = None

    @model_validator(mode="after")
    def has_what_its_action_takes(self) -> "NetworkChaos":
        details = {"delay": self.delay, "loss": self.loss, "bandwidth": self.bandwidth}
        assert {name for name, value in details.items() if value is not None} == {self.action} & set(details)
        assert self.target is not None or self.direction == "to", "only egress works without a target"
        return self


class TimeChaos(Selected):
    time_offset: Duration
    clock_ids: list[Literal["CLOCK_REALTIME"]] = []
    container_names: list[str] = []


class IOChaos(Selected):
    action: Literal["latency", "fault", "attrOverride", "mistake"]
    volume_path: str = Field(pattern="^/")
    path: str | None = None
    errno: int | None = None
    delay: Duration | None = None
    percent: int = Field(100, ge=0, le=100)
    methods: list[str] = []
    container_names: list[str] = []


class Cpu(Strict):
    workers: int
    load: int = Field(0, ge=0, le=100)


class Stressors(Strict):
    cpu: Cpu


class StressChaos(Selected):
    stressors: Stressors
    container_names: list[str] = []


KINDS: dict[str, type[Selected]] = {
    kind.__name__: kind for kind in (PodChaos, NetworkChaos, TimeChaos, IOChaos, StressChaos)
}


class Metadata(Strict):
    name: Name
    namespace: str


class Schedule(BaseModel):
    """Makes an experiment again and again; the experiment's spec is under its kind, in camel case."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel)

    schedule: Cron
    type: str
    concurrency_policy: Literal["Forbid", "Allow"]
    history_limit: int = Field(ge=1)

    @model_validator(mode="after")
    def holds_an_experiment_of_its_type(self) -> "Schedule":
        field = self.type[0].lower() + self.type[1:] if not self.type.startswith("IO") else "ioChaos"
        extra = self.model_extra or {}
        assert set(extra) == {field}
        KINDS[self.type].model_validate(extra[field])
        return self


class Manifest(Strict):
    api_version: Literal["chaos-mesh.org/v1alpha1"]
    kind: str
    metadata: Metadata
    spec: dict[str, Any]

    @model_validator(mode="after")
    def has_the_spec_of_its_kind(self) -> "Manifest":
        model = Schedule if self.kind == "Schedule" else KINDS[self.kind]
        model.model_validate(self.spec)
        return self
