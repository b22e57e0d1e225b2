"""A Messages request as a chat completion request."""

from typing import Any

from shared.translate.anthropic_request import pseudonym
from shared.translate.openai_messages import to_openai_messages
from shared.translate.terms import DEFAULT_OPTIONS, CannotTranslate, Losses, RequestOptions, Translated, wanted_text
from shared.translate.tools import tools_to_openai
from shared.wire.lenient import an_object, text

_MOST_STOPS = 4
_HANDLED = frozenset(
    (
        *("model", "messages", "system", "stream", "max_tokens", "stop_sequences", "temperature", "top_p"),
        *("tools", "tool_choice", "thinking", "output_config", "metadata", "service_tier"),
    )
)
_SAME_AS_ABSENT: dict[str, tuple[Any, ...]] = {"speed": ("standard",)}
_EFFORTS = ("none", "minimal", "low", "medium", "high")
# Only some models know these words.
_STRONGER = ("xhigh", "max")
_STRONGEST = "high"
_SCHEMA_NAME = "answer"


def anthropic_to_openai(body: dict[str, Any], options: RequestOptions = DEFAULT_OPTIONS) -> Translated:
    """The request as OpenAI takes it, with what was lost; CannotTranslate for what no answer could make good."""
    losses = Losses()
    messages = to_openai_messages(body.get("system"), body.get("messages"), options, losses)
    if messages[-1:] and messages[-1]["role"] == "assistant":
        raise CannotTranslate("messages", "this model's provider cannot continue an assistant message that has begun")
    told: dict[str, Any] = {"model": options.model or body.get("model"), "messages": messages}
    told[options.max_tokens_field] = _max_tokens(body, options, losses)
    told |= tools_to_openai(body, losses)
    _tell_output(body, told, losses)
    _tell_rest(body, told, losses)
    if body.get("stream"):
        told["stream"] = True
        told["stream_options"] = {"include_usage": True}
    for name, value in body.items():
        if name not in _HANDLED and value is not None and value not in _SAME_AS_ABSENT.get(name, ()):
            losses.add(name)
    return Translated(told, losses.told())


def _max_tokens(body: dict[str, Any], options: RequestOptions, losses: Losses) -> int:
    wanted = body.get("max_tokens")
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
        raise CannotTranslate("max_tokens", "must be a whole number")
    if wanted == 0:
        raise CannotTranslate(
            "max_tokens", "this model's provider has no cache to warm, so there is nothing to do for 0"
        )
    if options.max_tokens_limit is not None and wanted > options.max_tokens_limit:
        losses.add("max_tokens")
        return options.max_tokens_limit
    return wanted


def _tell_output(body: dict[str, Any], told: dict[str, Any], losses: Losses) -> None:
    config = an_object(body.get("output_config"))
    losses.add_unless(config, ("format", "effort"), "output_config")
    if (form := config.get("format")) is not None:
        schema = an_object(form).get("schema")
        if not isinstance(schema, dict):
            raise CannotTranslate("output_config.format.schema", "must be an object")
        named = {"name": _SCHEMA_NAME, "schema": schema, "strict": True}
        told["response_format"] = {"type": "json_schema", "json_schema": named}
    effort = wanted_text(config.get("effort"), "output_config.effort") or _effort_of(an_object(body.get("thinking")))
    if effort in _STRONGER:
        losses.add("output_config.effort")
        effort = _STRONGEST
    if effort in _EFFORTS:
        told["reasoning_effort"] = effort
    elif effort is not None:
        raise CannotTranslate("output_config.effort", f"{effort!r} is not an effort")


def _effort_of(thinking: dict[str, Any]) -> str | None:
    """The effort a thinking budget stands for; adaptive thinking is what such models do by themselves."""
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled" or not isinstance(budget, int):
        return None
    if budget < 4096:
        return "low"
    return "medium" if budget < 16384 else "high"


def _tell_rest(body: dict[str, Any], told: dict[str, Any], losses: Losses) -> None:
    told |= {name: body[name] for name in ("temperature", "top_p") if body.get(name) is not None}
    stops = body.get("stop_sequences") or []
    if not isinstance(stops, list):
        raise CannotTranslate("stop_sequences", "must be a list of strings")
    if len(stops) > _MOST_STOPS:
        losses.add("stop_sequences")
    if stops:
        told["stop"] = stops[:_MOST_STOPS]
    metadata = an_object(body.get("metadata"))
    losses.add_unless(metadata, ("user_id",), "metadata")
    if user := text(metadata.get("user_id")):
        told["user"] = pseudonym(user)
    if body.get("service_tier") == "standard_only":
        told["service_tier"] = "default"
    elif body.get("service_tier") not in (None, "auto"):
        losses.add("service_tier")
