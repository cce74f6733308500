"""Settings of every role: flag > environment `TASKYARD_*` > YAML file."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from taskyard_core.runtime import failpoints
from taskyard_core.runtime.config_file import ConfigFile
from taskyard_core.storage.etcd import EtcdSettings
from taskyard_core.storage.postgres.target import Target
from taskyard_core.storage.redis.connection import understood

Seconds = Annotated[float, Field(le=50 * 366 * 24 * 3600.0)]
"""As long as a cluster may live; stores and messages have no room for times that are much longer, or endless."""
Count = Annotated[int, Field(le=2**31 - 1)]
"""What an integer of Postgres holds."""


def _kept(check: Callable[[str], object]) -> AfterValidator:
    """The text as it is, if the check does not raise ValueError."""

    def keep(text: str) -> str:
        check(text)
        return text

    return AfterValidator(keep)


class StoreSettings(BaseSettings):
    """What every role can be told. Times are in seconds."""

    # URLs have passwords in them, and what is wrong about a value can be told without showing it.
    model_config = SettingsConfigDict(env_prefix="TASKYARD_", extra="ignore", hide_input_in_errors=True)

    config: str = Field("", description="YAML file with settings, by the names of flags with _ for -")
    postgres_url: Annotated[str, _kept(Target.parse)] = Field(
        "postgresql://taskyard@127.0.0.1:5432/taskyard", repr=False, description="where Postgres is"
    )
    redis_url: Annotated[str, _kept(understood)] = Field(
        "redis://127.0.0.1:6379/0", repr=False, description="where Redis or Valkey is"
    )
    etcd_endpoints: str = Field("127.0.0.1:2379", description="host:port of each etcd member, comma separated")
    etcd_prefix: str = Field("/taskyard", description="what all etcd keys begin with")
    etcd_ca_file: str = Field("", description="certificate authority of etcd; turns TLS on")
    etcd_cert_file: str = Field("", description="client certificate for etcd")
    etcd_key_file: str = Field("", description="key of the client certificate for etcd")
    etcd_user: str = Field("", description="whom to log in to etcd as")
    etcd_password: str = Field("", repr=False, description="that user's password")
    redis_prefix: str = Field("taskyard", description="what all Redis keys begin with")
    postgres_connections: Count = Field(10, ge=2, description="most connections to Postgres of one process")
    metrics_interval: Seconds = Field(5.0, gt=0, description="how often the stores are asked for what metrics show")
    lane_retention: Seconds = Field(600.0, gt=0, description="how long a lane is kept for which nothing waits")
    pod_name: str = Field(default_factory=socket.gethostname, description="name in logs, attempts and metrics")
    node_name: str = Field("", description="the Kubernetes node")
    failpoints: Annotated[str, _kept(lambda text: failpoints.check(text, os.getpid()))] = Field(
        "", description="where to fail on purpose; for experiments only"
    )

    @model_validator(mode="after")
    def _leads_to_etcd(self) -> Self:
        _ = self.etcd
        return self

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
        return init_settings, env_settings, ConfigFile(settings_cls)


def host_names(text: str) -> frozenset[str]:
    """Names that a setting has, and the machine's own."""
    return frozenset(filter(None, map(str.strip, text.split(",")))) | {socket.gethostname()}


def _path(text: str) -> Path | None:
    return Path(text) if text else None
