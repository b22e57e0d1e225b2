"""The operator's configuration: its shape, how it is read, and how a change of it takes effect while running."""

from shared.config.live import LiveConfig
from shared.config.load import ConfigFault, load_config, parse_config
from shared.config.providers import Provider, Target
from shared.config.schema import Config

__all__ = ["Config", "ConfigFault", "LiveConfig", "Provider", "Target", "load_config", "parse_config"]
