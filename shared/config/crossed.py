"""What a file says that fits the shape but not together: names that nothing defines. It reads the raw data, so that it
also finds them in a file with other faults.
"""

from collections.abc import Iterator
from typing import Any

DEMO = "demo"


def crossed(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Place and message of every name that is used and defined nowhere."""
    demo = {DEMO} if data.get("demo", True) else set()
    providers = demo | _names(data.get("providers"))
    models = demo | _names(data.get("models"))
    for name, model in _items(data.get("models")):
        for index, target in enumerate(_list(model, "targets")):
            provider = target.get("provider") if isinstance(target, dict) else None
            if isinstance(provider, str) and provider not in providers:
                yield f"models.{name}.targets.{index}.provider", f"no provider {provider!r}"
        for index, fallback in enumerate(_list(model, "fallbacks")):
            if isinstance(fallback, str) and fallback not in models:
                yield f"models.{name}.fallbacks.{index}", f"no model {fallback!r}"


def _names(section: Any) -> set[str]:
    return {str(name) for name in section} if isinstance(section, dict) else set()


def _items(section: Any) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in section.items()] if isinstance(section, dict) else []


def _list(section: Any, name: str) -> list[Any]:
    found = section.get(name) if isinstance(section, dict) else None
    return found if isinstance(found, list) else []
