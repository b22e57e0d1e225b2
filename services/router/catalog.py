"""Which models there are: the configured ones, those that providers list themselves, and the demo. Immutable."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from shared.config.providers import Provider
from shared.config.schema import Config
from shared.messages.gateway import ModelInfo

DEMO = "demo"
AUTO = "auto"
_NO_CHAT = re.compile(
    r"embed|whisper|\btts\b|tts-|dall-e|moderation|transcribe|realtime|audio|image|sora|rerank|babbage|davinci|instruct|search",
    re.IGNORECASE,
)


class Target(msgspec.Struct, frozen=True):
    """A provider and the name a model has there."""

    provider: str
    model: str
    weight: float = 1.0
    max_tokens: int | None = None

    @property
    def key(self) -> str:
        """What its record is kept under."""
        return f"{self.provider}/{self.model}"


class Model(msgspec.Struct, frozen=True):
    """A name clients use, the targets that can answer it, and the models to fall back on."""

    name: str
    targets: tuple[Target, ...]
    fallbacks: tuple[str, ...] = ()
    display_name: str | None = None
    created: int = 0
    owned_by: str = "tollway"

    @property
    def is_demo(self) -> bool:
        """Whether only the demo provider stands behind it."""
        return all(target.provider == DEMO for target in self.targets)


class Listed(msgspec.Struct, frozen=True):
    """A model as its provider lists it."""

    id: str
    created: int = 0
    owned_by: str = ""
    display_name: str | None = None


class Catalog:
    """The models of one configuration and one reading of the providers' lists."""

    def __init__(self, config: Config, lists: Mapping[str, Sequence[Listed]]) -> None:
        self.config = config
        self.providers: dict[str, Provider] = dict(config.providers)
        if config.demo:
            self.providers.setdefault(DEMO, Provider(protocol="demo"))
        self.listing = _listing(config)
        self.unlisted = [name for name in self.listing if name not in lists]
        self._models = {name: _configured(name, config) for name in config.models}
        for provider in self.listing:
            for listed in lists.get(provider, ()):
                self._models.setdefault(listed.id, _of_list(provider, listed))
        if config.demo:
            self._models.setdefault(DEMO, Model(DEMO, (Target(DEMO, DEMO),), display_name="Demo"))

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def get(self, name: str) -> Model | None:
        """The model of that name."""
        return self._models.get(name)

    def fallbacks(self, model: Model) -> list[Model]:
        """The models to fall back on, in order."""
        return [self._models[name] for name in model.fallbacks if name in self._models and name != model.name]

    def passed_on(self, name: str) -> Model | None:
        """A name nobody knows, for a provider whose list could not be read: it may know the name."""
        if not self.unlisted:
            return None
        return Model(name, tuple(Target(provider, name) for provider in self.unlisted))

    @cached_property
    def for_auto(self) -> list[Model]:
        """The models `auto` may take: never the demo while there is another."""
        real = [model for model in self if not model.is_demo]
        chat = [model for model in real if model.name in self.config.models or not _NO_CHAT.search(model.name)]
        return chat or ([] if real or self.unlisted else list(self))

    @cached_property
    def target_keys(self) -> frozenset[str]:
        """Every target's key."""
        return frozenset(target.key for model in self for target in model.targets)

    def infos(self) -> list[ModelInfo]:
        """The models as clients may see them."""
        return [self._info(model) for model in self]

    def _info(self, model: Model) -> ModelInfo:
        protocols = {self.providers[target.provider].protocol for target in model.targets}
        return ModelInfo(
            id=model.name,
            created=model.created,
            owned_by=model.owned_by,
            display_name=model.display_name,
            protocols=sorted(protocols),
        )


def _listing(config: Config) -> list[str]:
    """Providers whose own list is served: where the file does not say, those that no configured model names."""
    used = {target.provider for model in config.models.values() for target in model.targets}
    return [
        name
        for name, provider in config.providers.items()
        if provider.protocol != "demo" and (name not in used if provider.list_models is None else provider.list_models)
    ]


def _configured(name: str, config: Config) -> Model:
    entry = config.models[name]
    targets = tuple(Target(t.provider, t.model, t.weight, entry.max_tokens) for t in entry.targets)
    return Model(name, targets, entry.fallbacks, entry.display_name)


def _of_list(provider: str, listed: Listed) -> Model:
    target = Target(provider, listed.id)
    return Model(listed.id, (target,), (), listed.display_name, listed.created, listed.owned_by or provider)
