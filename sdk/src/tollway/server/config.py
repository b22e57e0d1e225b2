"""How an agent is published."""

from pydantic import BaseModel, ConfigDict, Field, field_validator


class APIPublisherConfig(BaseModel):
    """The seed's options with their defaults, and three of our own at the end."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    path: str = Field("/alphadata", description="base path; the API is at {path}/chat/completions")
    memory_ttl: float = Field(3600, gt=0, description="seconds after which an unused session is forgotten")
    max_memory_items: int = Field(1000, ge=1, description="sessions kept; the least recently used go first")
    auto_clean_interval: float = Field(600, gt=0, description="seconds between two cleanings")
    api_title: str = Field("Alphora Agent API Service", description="may hold {agent_name} and {method_name}")
    api_description: str = Field("Auto-generated API...", description="may hold {agent_name} and {method_name}")
    timeout: float = Field(300, gt=0, description="seconds one answer may take")
    model_name: str = Field("AlphaData", description="the model's name in answers")
    strict_openai: bool = Field(default=False, description="OpenAI's exact shapes instead of the typed contents")

    @field_validator("path")
    @classmethod
    def _one_leading_slash(cls, path: str) -> str:
        stripped = path.strip("/")
        return f"/{stripped}" if stripped else ""

    def filled(self, template: str, agent_name: str, method_name: str) -> str:
        """A title or description with its placeholders filled; other braces stay."""
        return template.replace("{agent_name}", agent_name).replace("{method_name}", method_name)
