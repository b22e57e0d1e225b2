"""Variables that the seed systems had: they fill what the file leaves unsaid."""

from collections.abc import Mapping
from typing import Any

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
DEGPT_URL = "https://www.degpt.ai/api"
DEGPT_MODEL = "gpt-4o-mini"

_PATHS = {"REPLACE_CHAT": "replace", "PREFIX_CHAT": "prefix", "APPEND_CHAT": "append"}
_NUMBERS: tuple[tuple[str, str, str], ...] = (
    ("SESSION_TIMEOUT", "sessions", "ttl_seconds"),
    ("CACHE_DURATION", "routing", "model_list_seconds"),
)


def with_aliases(data: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The file's data with the seed's variables filled in where the file says nothing."""
    filled = {key: value for key, value in data.items() if value is not None}
    for variable, section, name in _NUMBERS:
        if value := environ.get(variable):
            filled[section] = {name: value, **(filled.get(section) or {})}
    for variable, name in _PATHS.items():
        if value := environ.get(variable):
            paths = [part.strip() for part in value.split(",") if part.strip()]
            filled["chat_paths"] = {**(filled.get("chat_paths") or {}), name: paths}
    providers = dict(filled.get("providers") or {})
    if not providers:
        for make in (_openai, _anthropic, _degpt):
            providers.update(make(environ))
        if providers:
            filled["providers"] = providers
    # Its list is served beside the base model, which is there when the list cannot be read.
    alone = len(providers) == 1 or "DEGPT_BASE_MODEL" in environ
    if "degpt" in providers and not filled.get("models") and alone:
        filled["models"] = _degpt_model(environ)
    return filled


def _openai(environ: Mapping[str, str]) -> dict[str, Any]:
    if not (environ.get("OPENAI_API_KEY") or environ.get("OPENAI_BASE_URL")):
        return {}
    url = environ.get("OPENAI_BASE_URL") or OPENAI_URL
    return {"openai": {"protocol": "openai", "base_url": url, "api_key": environ.get("OPENAI_API_KEY", "")}}


def _anthropic(environ: Mapping[str, str]) -> dict[str, Any]:
    if not environ.get("ANTHROPIC_API_KEY"):
        return {}
    url = environ.get("ANTHROPIC_BASE_URL") or ANTHROPIC_URL
    return {"claude": {"protocol": "anthropic", "base_url": url, "api_key": environ["ANTHROPIC_API_KEY"]}}


def _degpt(environ: Mapping[str, str]) -> dict[str, Any]:
    if not any(name.startswith("DEGPT_") for name in environ):
        return {}
    headers = {header_name(name): value for name, value in environ.items() if name.startswith("DEGPT_PROXY_") and value}
    if cookie := environ.get("DEGPT_AUTH_COOKIE"):
        headers["Cookie"] = cookie
    url = environ.get("DEGPT_BASE_URL") or DEGPT_URL
    return {
        "degpt": {
            "protocol": "openai",
            "base_url": url,
            "api_key": environ.get("DEGPT_AUTH_ID", ""),
            "headers": headers,
            "list_models": True,
        }
    }


def _degpt_model(environ: Mapping[str, str]) -> dict[str, Any]:
    model = environ.get("DEGPT_BASE_MODEL") or DEGPT_MODEL
    return {model: {"targets": [{"provider": "degpt", "model": model}]}}


def header_name(variable: str) -> str:
    """`DEGPT_PROXY_USER_AGENT` names the header `User-Agent`."""
    return "-".join(part.capitalize() for part in variable.removeprefix("DEGPT_PROXY_").split("_"))
