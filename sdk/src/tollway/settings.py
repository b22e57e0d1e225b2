"""What the environment tells the library; read anew on every use, so that a program may set it late."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_USAGE_DIRECTORY = "records/ai_usage"


@dataclass(frozen=True, slots=True)
class Settings:
    """The library's environment: where Tollway is, with which key, and where local records live."""

    url: str | None
    key: str | None
    usage_directory: Path


def read_settings() -> Settings:
    """TOLLWAY_URL, TOLLWAY_ADMIN_TOKEN or TOLLWAY_API_KEY, and TOLLWAY_USAGE_DIR."""
    url = os.environ.get("TOLLWAY_URL", "").strip().rstrip("/")
    key = os.environ.get("TOLLWAY_ADMIN_TOKEN") or os.environ.get("TOLLWAY_API_KEY")
    directory = Path(os.environ.get("TOLLWAY_USAGE_DIR") or DEFAULT_USAGE_DIRECTORY)
    return Settings(url=url or None, key=key or None, usage_directory=directory.absolute())
