"""The providers of the configuration in force as running objects; one that did not change stays as it is."""

from collections.abc import Mapping

from services.router.providers.anthropic import AnthropicProvider
from services.router.providers.base import Provider
from services.router.providers.demo import DemoProvider
from services.router.providers.openai import OpenAIProvider
from shared.config.providers import Provider as ProviderConfig
from shared.config.providers import Timeouts
from shared.http_client import HttpClient

_KINDS: dict[str, type[Provider]] = {
    "openai": OpenAIProvider,
    "anthropic": AnthropicProvider,
    "demo": DemoProvider,
}


class Fleet:
    """Providers by name."""

    def __init__(self) -> None:
        self._providers: dict[str, Provider] = {}

    @property
    def current(self) -> Mapping[str, Provider]:
        """The providers of this moment: replaced, never changed, so that a call keeps those it began with."""
        return self._providers

    def __getitem__(self, name: str) -> Provider:
        return self._providers[name]

    def __contains__(self, name: str) -> bool:
        return name in self._providers

    def configure(self, configs: Mapping[str, ProviderConfig], timeouts: Timeouts, http: HttpClient) -> list[str]:
        """Take up a configuration; returns the names of providers that are new or changed."""
        kept: dict[str, Provider] = {}
        for name, config in configs.items():
            found = self._providers.get(name)
            wanted = timeouts_of(config, timeouts)
            if found is not None and found.config == config and found.timeouts == wanted:
                kept[name] = found
            else:
                kept[name] = make_provider(name, config, wanted, http)
        changed = [name for name, provider in kept.items() if self._providers.get(name) is not provider]
        self._providers = kept
        return changed


def make_provider(name: str, config: ProviderConfig, timeouts: Timeouts, http: HttpClient) -> Provider:
    """The object that speaks a provider's protocol."""
    provider = _KINDS[config.protocol](name, config, timeouts, http.session())
    provider.lean = http.lean
    return provider


def timeouts_of(config: ProviderConfig, timeouts: Timeouts) -> Timeouts:
    """A provider's own deadlines over the general ones."""
    return (
        timeouts.model_copy(update={str(name): seconds for name, seconds in config.timeouts.items()})
        if config.timeouts
        else timeouts
    )
