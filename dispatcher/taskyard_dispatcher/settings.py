"""Settings of the dispatcher role: flag > environment `TASKYARD_*` > YAML file."""

from pydantic import Field, field_validator

from taskyard_core.domain import limits
from taskyard_core.runtime.address import Address
from taskyard_core.runtime.settings import Count, Seconds, StoreSettings, host_names
from taskyard_dispatcher.timing import DispatchTiming, DutyTiming


class DispatcherSettings(StoreSettings):
    """What a dispatcher can be told. Times are in seconds."""

    session_address: str = Field("0.0.0.0:7071", description="host:port where workers open sessions")
    http_address: str = Field("0.0.0.0:8081", description="host:port of /metrics, /livez and /readyz")
    http_hosts: str = Field(
        "", description="names, besides localhost, that /metrics on a loopback address answers to: a,b or *"
    )
    advertised_address: str = Field("", description="host:port that workers reach; default: the session address")
    heartbeat_interval: Seconds = Field(3.0, gt=0, description="how often workers send a heartbeat")
    session_timeout: Seconds = Field(10.0, gt=0, description="a session without a frame for this long is broken")
    stream_grace: Seconds = Field(3.0, ge=0, description="how long a broken session may take to come back")
    leader_ttl: Count = Field(5, gt=1, description="lease of the leader's election key")
    poll_interval: Seconds = Field(
        DispatchTiming.poll, gt=0, description="how often lanes are read although no hint came"
    )
    reclaim_after: Seconds = Field(
        DispatchTiming.reclaim_idle,
        gt=0,
        description="how long a dispatcher may do nothing about a task it read before another takes it",
    )
    stop_grace: Seconds = Field(30.0, gt=0, description="how long a handler may take to end once it was told to stop")
    crashes_allowed: Count = Field(
        limits.CRASHES_ALLOWED, ge=0, description="how many lost workers a task survives before it is FAILED"
    )
    duty_connections: Count = Field(4, ge=2, description="most connections to Postgres for the leader's duties")
    duty_timeout: Seconds = Field(
        DutyTiming.bound, ge=15, description="how long a run of a duty may take before another dispatcher leads"
    )
    duty_page: int = Field(
        DutyTiming.page, ge=1, le=100_000, description="rows that one transaction of the leader's duties changes"
    )
    audit_interval: Seconds = Field(
        DutyTiming.audit_interval, gt=0, description="how often the lanes are compared with the tables"
    )
    queue_retention: Seconds = Field(
        DutyTiming.queue_unused,
        ge=2 * limits.QUEUE_NOTED_SECONDS,
        description="how long a queue without settings is kept that nobody submits to",
    )
    retention: Seconds = Field(7 * 24 * 3600.0, gt=0, description="how long ended tasks and their keys are kept")
    dead_letter_retention: Seconds = Field(30 * 24 * 3600.0, gt=0, description="how long FAILED tasks are kept")
    drain_timeout: Seconds = Field(20.0, ge=0, description="how long a stopping dispatcher waits for workers to move")

    @field_validator("session_address", "http_address", "advertised_address")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        return str(Address.parse(text)) if text else text

    @property
    def dispatch(self) -> DispatchTiming:
        """How lanes are looked at."""
        return DispatchTiming(poll=self.poll_interval, reclaim_idle=self.reclaim_after)

    @property
    def duties(self) -> DutyTiming:
        """How the leader's duties go."""
        return DutyTiming(
            bound=self.duty_timeout,
            page=self.duty_page,
            audit_interval=self.audit_interval,
            lane_unused=self.lane_retention,
            queue_unused=self.queue_retention,
        )

    @property
    def names(self) -> frozenset[str]:
        """What this host is called by those who read its metrics."""
        return host_names(self.http_hosts)
