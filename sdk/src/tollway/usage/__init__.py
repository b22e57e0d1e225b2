"""Usage bookkeeping: a decorator, a function, and a monitor with the statistics."""

from tollway.usage.book import get_usage_monitor, record_ai_usage
from tollway.usage.figures import Figures
from tollway.usage.labels import usage_labels
from tollway.usage.local import LocalUsageMonitor
from tollway.usage.monitor import UsageMonitor
from tollway.usage.pricing import ModelPricing
from tollway.usage.remote import ServerUsageMonitor
from tollway.usage.track import track_ai_usage

__all__ = [
    "Figures",
    "LocalUsageMonitor",
    "ModelPricing",
    "ServerUsageMonitor",
    "UsageMonitor",
    "get_usage_monitor",
    "record_ai_usage",
    "track_ai_usage",
    "usage_labels",
]
