"""Publish an agent as an OpenAI-compatible API in one line; track any model call with one decorator."""

from importlib.metadata import PackageNotFoundError, version

from tollway.errors import ServerError, ServerUnreachableError, TollwayError
from tollway.usage import (
    ModelPricing,
    UsageMonitor,
    get_usage_monitor,
    record_ai_usage,
    track_ai_usage,
    usage_labels,
)

try:
    __version__ = version("tollway")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.0.0"

__all__ = [
    "ModelPricing",
    "ServerError",
    "ServerUnreachableError",
    "TollwayError",
    "UsageMonitor",
    "__version__",
    "get_usage_monitor",
    "record_ai_usage",
    "track_ai_usage",
    "usage_labels",
]
