"""The configuration file as frozen models: every key an operator may write, with its default."""

from typing import Any

from pydantic import Field, model_validator

from shared.config.providers import Model, Provider, Routing
from shared.config.section import Section
from shared.config.surfaces import Byo, ChatPaths, PromptCache, Sessions
from shared.config.tools import Tools
from shared.config.usage import Usage


class DataSource(Section):
    """A market data API."""

    base_url: str | None = None
    api_key: str = ""
    enabled: bool = True


class Reports(Section):
    """Report jobs."""

    directory: str | None = None
    retention_days: int = Field(30, ge=1)
    evidence_days: int = Field(7, ge=1)
    insight_model: str | None = None
    data_sources: dict[str, DataSource] = {}
    workers: int = Field(1, ge=1, le=16)
    running_per_owner: int = Field(4, ge=1)


class Config(Section):
    """The whole file."""

    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    demo: bool = True
    routing: Routing = Routing()
    chat_paths: ChatPaths = ChatPaths()
    sessions: Sessions = Sessions()
    cache: PromptCache = PromptCache()
    tools: Tools = Tools()
    byo: Byo = Byo()
    usage: Usage = Usage()
    reports: Reports = Reports()

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, data: Any) -> Any:
        """A section that is present but empty means its defaults."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    def faults(self) -> list[str]:
        """What fits the shape but not together: names that nothing defines."""
        found: list[str] = []
        for name, model in self.models.items():
            for index, target in enumerate(model.targets):
                if target.provider not in self.providers and not (target.provider == "demo" and self.demo):
                    found.append(f"models.{name}.targets.{index}.provider: no provider {target.provider!r}")
            for index, fallback in enumerate(model.fallbacks):
                if fallback not in self.models and not (fallback == "demo" and self.demo):
                    found.append(f"models.{name}.fallbacks.{index}: no model {fallback!r}")
        return found
