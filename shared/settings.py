"""What the environment and `.env` say: read here and nowhere else, once, into a frozen value."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from shared.arguments import Refused
from shared.ports import PORTS
from shared.security import is_loopback

# What a URL may begin with; anything else would fail later, and less clearly.
_SCHEMES = {
    "database_url": ("sqlite+aiosqlite://", "postgresql+asyncpg://"),
    "bus_url": ("memory:", "amqp://", "amqps://"),
    "cache_url": ("memory:", "redis://", "rediss://", "unix://"),
} | dict.fromkeys(("router_url", "usage_url", "reports_url", "url"), ("http://", "https://"))


class SettingsFault(Refused):
    """The environment or the command line says something that makes no sense; all of it."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class Settings(BaseModel):
    """Where things are and who may talk to whom. A field's variable is its name in capitals behind `TOLLWAY_`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int | None = Field(None, ge=0, le=65_535, description="port to listen on; PORT is an alias")
    data: Path = Field(Path("./data"), description="folder for the spool, the embedded database and reports")
    config: Path | None = Field(None, description="configuration file; ./tollway.yaml when it is there")
    database_url: str | None = Field(None, description="sqlite+aiosqlite:///… or postgresql+asyncpg://…")
    bus_url: str = Field("memory://", description="memory:// or amqp://…")
    cache_url: str = Field("memory://", description="memory:// or redis://…")
    router_url: str = Field("http://127.0.0.1:8081", description="where the gateway finds the router")
    usage_url: str = Field("http://127.0.0.1:10090", description="where the usage service is found")
    reports_url: str = Field("http://127.0.0.1:8083", description="where the reports service is found")
    url: str = Field("http://127.0.0.1:8080", description="where the gateway is found by reports and the command line")
    admin_token: SecretStr | None = Field(None, description="may do everything")
    ops_token: SecretStr | None = Field(None, description="may read usage and the dashboard")
    internal_token: SecretStr | None = Field(None, description="shared by the services, proves who forwarded a request")
    token: SecretStr | None = Field(None, description="the one static client key; TOKEN is its name")
    webhook_secret: SecretStr | None = Field(None, description="signs webhooks that have no secret of their own")
    debug: bool = Field(default=False, description="log more; DEBUG is an alias")
    log_format: str = Field("auto", pattern="^(auto|json|text)$", description="auto, json or text")
    insecure: bool = Field(default=False, description="listen beyond loopback without any key")
    drain_seconds: float = Field(30, gt=0, description="how long running answers may go on after SIGTERM")
    spool_megabytes: int = Field(1024, ge=1, description="bound of the local usage log")
    otlp_endpoint: str | None = Field(None, description="OTEL_EXPORTER_OTLP_ENDPOINT: where traces go")
    environment: Mapping[str, str] = Field({}, repr=False, exclude=True, description="what ${VAR} in the file sees")
    working_directory: Path = Field(Path(), exclude=True, description="where .env and tollway.yaml are looked for")

    @field_validator(*_SCHEMES)
    @classmethod
    def _is_of_a_known_kind(cls, url: str | None, info: ValidationInfo) -> str | None:
        known = _SCHEMES[info.field_name or ""]
        if url is not None and not url.startswith(known):
            raise ValueError(f"must begin with {' or '.join(known)}")
        return url

    @property
    def config_path(self) -> Path | None:
        """The configuration file to read, if there is one."""
        if self.config is not None:
            return self.config
        default = self.working_directory / "tollway.yaml"
        return default if default.exists() else None

    @property
    def dotenv_path(self) -> Path:
        """The `.env` that is watched."""
        return self.working_directory / ".env"

    @property
    def tokens(self) -> dict[str, SecretStr | None]:
        """What opens doors to people, and may be changed in `.env` while running."""
        return {"token": self.token, "admin_token": self.admin_token, "ops_token": self.ops_token}

    @property
    def database(self) -> str:
        """The database in use; a SQLite file in the data folder unless told otherwise."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data / 'tollway.db'}"

    @property
    def open_to_all(self) -> bool:
        """Whether it listens beyond loopback."""
        return not is_loopback(self.host)

    def port_of(self, service: str) -> int:
        """The port to listen on for a service."""
        return PORTS.get(service, 8080) if self.port is None else self.port


def revealed(secret: SecretStr | None) -> str | None:
    """A secret's text, where it is compared or sent."""
    return secret.get_secret_value() if secret else None


# Variables with a name of their own; everything else is TOLLWAY_<FIELD>.
_ALIASES = {
    "port": ("PORT",),
    "debug": ("DEBUG",),
    "token": ("TOKEN",),
    "otlp_endpoint": ("OTEL_EXPORTER_OTLP_ENDPOINT",),
}
_SKIPPED = {"environment", "working_directory"}


def read_environment(folder: Path) -> dict[str, str]:
    """The process's environment over the folder's `.env`."""
    path = folder / ".env"
    stored = dotenv_values(path) if path.exists() else {}
    return {key: value for key, value in {**stored, **os.environ}.items() if value is not None}  # noqa: TID251 -- its home


def read_settings(folder: Path | None = None, **overrides: Any) -> Settings:
    """The settings of this process; raises SettingsFault. Overrides come from the command line."""
    folder = folder or Path.cwd()
    try:
        return settings_from(read_environment(folder), folder, **overrides)
    except ValidationError as error:
        raise SettingsFault([_fault(item) for item in error.errors()]) from error


def _fault(item: Any) -> str:
    return f"{'.'.join(map(str, item['loc']))}: {str(item['msg']).removeprefix('Value error, ')}"


def settings_from(environment: Mapping[str, str], folder: Path | None = None, **overrides: Any) -> Settings:
    """Settings of a given environment; raises pydantic.ValidationError."""
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        if name in _SKIPPED:
            continue
        for variable in (f"TOLLWAY_{name.upper()}", *_ALIASES.get(name, ())):
            if found := environment.get(variable):
                values[name] = found
                break
    if "cache_url" not in values and (
        environment.get("REDIS_HOST") or environment.get("SESSION_STORAGE_TYPE") == "redis"
    ):
        values["cache_url"] = (
            f"redis://{environment.get('REDIS_HOST') or 'localhost'}:{environment.get('REDIS_PORT') or 6379}"
        )
    if environment.get("SESSION_STORAGE_TYPE") == "memory":
        values["cache_url"] = "memory://"
    values |= {name: value for name, value in overrides.items() if value is not None}
    return Settings(environment=dict(environment), working_directory=folder or Path(), **values)
