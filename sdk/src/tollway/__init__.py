"""Publish an agent as an OpenAI-compatible API in one line; track any model call with one decorator."""

from tollway.errors import ServerError, ServerUnreachableError, TollwayError
from tollway.usage import (
    ModelPricing,
    UsageMonitor,
    get_usage_monitor,
    record_ai_usage,
    track_ai_usage,
    usage_labels,
)

__version__ = "0.1.0"

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
