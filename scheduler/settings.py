"""Settings: flag > environment `TASKYARD_*` > YAML file named by TASKYARD_CONFIG."""

import os
import socket
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from scheduler import failpoints
from scheduler.storage.etcd import EtcdSettings


class StoreSettings(BaseSettings):
    """What every role can be told. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="TASKYARD_", extra="ignore")

    postgres_url: str = Field("postgresql://taskyard@127.0.0.1:5432/taskyard", description="where Postgres is")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="where Redis or Valkey is")
    etcd_endpoints: str = Field("127.0.0.1:2379", description="host:port of each etcd member, comma separated")
    etcd_prefix: str = Field("/taskyard", description="what all etcd keys begin with")
    etcd_ca_file: str = Field("", description="certificate authority of etcd; turns TLS on")
    etcd_cert_file: str = Field("", description="client certificate for etcd")
    etcd_key_file: str = Field("", description="key of the client certificate for etcd")
    etcd_user: str = Field("", description="whom to log in to etcd as")
    etcd_password: str = Field("", repr=False, description="that user's password")
    redis_prefix: str = Field("taskyard", description="what all Redis keys begin with")
    postgres_connections: int = Field(10, ge=2, description="most connections to Postgres of one process")
    pod_name: str = Field(default_factory=socket.gethostname, description="name in logs, attempts and metrics")
    node_name: str = Field("", description="the Kubernetes node")
    failpoints: str = Field("", description="where to fail on purpose; for experiments only")

    @field_validator("failpoints")
    @classmethod
    def _can_be_armed(cls, text: str) -> str:
        failpoints.check(text, os.getpid())
        return text

    @property
    def etcd(self) -> EtcdSettings:
        """The etcd part, as its client wants it."""
        return EtcdSettings(
            endpoints=tuple(part.strip() for part in self.etcd_endpoints.split(",") if part.strip()),
            prefix=self.etcd_prefix,
            ca_file=_path(self.etcd_ca_file),
            cert_file=_path(self.etcd_cert_file),
            key_file=_path(self.etcd_key_file),
            username=self.etcd_user or None,
            password=self.etcd_password or None,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env files
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags first, then the environment, then the YAML file."""
        file = os.environ.get("TASKYARD_CONFIG")
        yaml = (YamlConfigSettingsSource(settings_cls, yaml_file=file),) if file else ()
        return init_settings, env_settings, *yaml


class SchedulerSettings(StoreSettings):
    """What a scheduler can be told. Times are in seconds."""

    rest_address: str = Field("0.0.0.0:8080", description="host:port of the REST API, /metrics, /livez and /readyz")
    rest_hosts: str = Field(
        "", description="names, besides localhost, that a REST API on a loopback address answers to: a,b or *"
    )
    grpc_address: str = Field("0.0.0.0:7070", description="host:port of the gRPC API")
    max_backlog: int = Field(
        1_000_000, ge=1, description="submits to a queue are refused while this many tasks wait in it, unless it says"
    )
    drain_timeout: float = Field(10.0, ge=0, description="how long a stopping scheduler finishes calls under way")

    @property
    def names(self) -> frozenset[str]:
        """`rest_hosts`, one by one, and the machine's own name."""
        return frozenset(filter(None, map(str.strip, self.rest_hosts.split(",")))) | {socket.gethostname()}


def _path(text: str) -> Path | None:
    return Path(text) if text else None
