"""A chat completion request as a Messages request."""

import hashlib
from typing import Any

from shared.translate.anthropic_messages import to_anthropic_messages
from shared.translate.caching import keep_latest_marks
from shared.translate.terms import DEFAULT_OPTIONS, CannotTranslate, Losses, RequestOptions, Translated, wanted_text
from shared.translate.tools import AnthropicTools, tools_to_anthropic

_JSON_INSTRUCTION = "Answer with one JSON object and nothing else: no prose, no code fence."
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32000, "max": 32000}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_SMALLEST_BUDGET = 1024
_HANDLED = frozenset(
    (
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "n"),
        *("temperature", "top_p", "top_k", "reasoning_effort", "thinking", "response_format", "modalities"),
        *("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"),
        *("user", "safety_identifier", "service_tier"),
    )
)
# Values that mean the same as leaving the parameter out.
_SAME_AS_ABSENT: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "metadata": ({},),
    "verbosity": ("medium",),
}


def openai_to_anthropic(body: dict[str, Any], options: RequestOptions = DEFAULT_OPTIONS) -> Translated:
    """The request as Anthropic takes it, with what was lost; CannotTranslate for what no answer could make good."""
    losses = Losses()
    _refuse(body)
    system, messages = to_anthropic_messages(body.get("messages"), options, losses)
    told: dict[str, Any] = {
        "model": options.model or body.get("model"),
        "max_tokens": _max_tokens(body, options, losses),
    }
    tools = tools_to_anthropic(body, losses)
    _tell_output(body, told, system, losses)
    _tell_reasoning(body, told, messages, tools, options, losses)
    _tell_sampling(body, told, options, losses)
    if system:
        told["system"] = system
    told["messages"] = messages
    if tools.tools:
        told["tools"] = tools.tools
    if tools.choice is not None:
        told["tool_choice"] = tools.choice
    _tell_rest(body, told, losses)
    content = [block for message in messages for block in message["content"]]
    keep_latest_marks([*tools.tools, *system, *content], losses)
    _name_the_rest(body, losses)
    return Translated(told, losses.told(), legacy_functions=tools.legacy, custom_tools=tools.custom)


def _refuse(body: dict[str, Any]) -> None:
    if body.get("n") not in (None, 1):
        raise CannotTranslate("n", "this model's provider gives one choice per request")
    modalities = body.get("modalities")
    if isinstance(modalities, list) and modalities != ["text"]:
        raise CannotTranslate("modalities", "this model's provider answers with text only")


def _max_tokens(body: dict[str, Any], options: RequestOptions, losses: Losses) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        wanted = body.get(name)
        if wanted is None:
            continue
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
            raise CannotTranslate(name, "must be a whole number")
        if options.max_tokens_limit is not None and wanted > options.max_tokens_limit:
            losses.add(name)
            return options.max_tokens_limit
        return wanted
    return min(options.max_tokens_default, options.max_tokens_limit or options.max_tokens_default)


def _tell_output(body: dict[str, Any], told: dict[str, Any], system: list[dict[str, Any]], losses: Losses) -> None:
    """`response_format`: the native schema format, or an instruction where there is none."""
    form = body.get("response_format")
    if form is None:
        return
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_schema":
        wanted = form.get("json_schema")
        schema = wanted.get("schema") if isinstance(wanted, dict) else None
        if not isinstance(schema, dict):
            raise CannotTranslate("response_format.json_schema.schema", "must be an object")
        told["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    elif kind == "json_object":
        losses.add("response_format")
        system.append({"type": "text", "text": _JSON_INSTRUCTION})
    elif kind != "text":
        raise CannotTranslate("response_format.type", f"{kind!r} is not one of text, json_object, json_schema")


def _tell_reasoning(
    body: dict[str, Any],
    told: dict[str, Any],
    messages: list[dict[str, Any]],
    tools: AnthropicTools,
    options: RequestOptions,
    losses: Losses,
) -> None:
    if isinstance(own := body.get("thinking"), dict):
        told["thinking"] = own
    effort = wanted_text(body.get("reasoning_effort"), "reasoning_effort")
    if not effort:
        return
    if effort == "none":
        told.setdefault("thinking", {"type": "disabled"})
    elif effort not in _EFFORTS:
        raise CannotTranslate("reasoning_effort", f"{effort!r} is not an effort")
    elif options.thinking == "adaptive":
        told["output_config"] = {**told.get("output_config", {}), "effort": _EFFORTS[effort]}
        told.setdefault("thinking", {"type": "adaptive", "display": "summarized"})
    elif tools.is_forced or _continues_without_thoughts(messages):
        losses.add("reasoning_effort")
    else:
        _tell_budget(body, told, _BUDGETS[effort], options, losses)


def _continues_without_thoughts(messages: list[dict[str, Any]]) -> bool:
    """Whether results are being given to a turn whose thoughts the client did not keep.

    Thinking with a budget has to have them there; switching it off for the turn is the way that works.
    """
    if len(messages) < 2 or messages[-1]["content"][0].get("type") != "tool_result":
        return False
    return messages[-2]["content"][0].get("type") not in ("thinking", "redacted_thinking")


def _tell_budget(
    body: dict[str, Any], told: dict[str, Any], wanted: int, options: RequestOptions, losses: Losses
) -> None:
    """A budget within the limit of tokens, with room for an answer; the default limit grows by the budget."""
    if body.get("max_completion_tokens") is None and body.get("max_tokens") is None:
        grown = told["max_tokens"] + wanted
        told["max_tokens"] = min(grown, options.max_tokens_limit or grown)
    budget = min(wanted, told["max_tokens"] * 3 // 4)
    if budget < _SMALLEST_BUDGET:
        losses.add("reasoning_effort")
    else:
        told.setdefault("thinking", {"type": "enabled", "budget_tokens": budget})


def _tell_sampling(body: dict[str, Any], told: dict[str, Any], options: RequestOptions, losses: Losses) -> None:
    thinks = told.get("thinking", {}).get("type") not in (None, "disabled")
    for name, most in (("temperature", 1), ("top_p", 1), ("top_k", None)):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CannotTranslate(name, "must be a number")
        if not options.takes_sampling or thinks:
            losses.add(name)
            continue
        if most is not None and value > most:
            losses.add(name)
            value = most
        told[name] = value


def _tell_rest(body: dict[str, Any], told: dict[str, Any], losses: Losses) -> None:
    stop = body.get("stop")
    sequences = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(sequences, list) or not all(isinstance(item, str) for item in sequences):
        raise CannotTranslate("stop", "must be a string or a list of strings")
    usable = [sequence for sequence in sequences if sequence.strip()]
    if len(usable) < len(sequences):
        losses.add("stop")
    if usable:
        told["stop_sequences"] = usable
    if body.get("stream"):
        told["stream"] = True
    user = body.get("safety_identifier") or body.get("user")
    if isinstance(user, str) and user:
        told["metadata"] = {"user_id": pseudonym(user)}
    tier = body.get("service_tier")
    if tier in ("default", "flex"):
        told["service_tier"] = "standard_only"
    elif tier is not None:
        told["service_tier"] = "auto"
        if tier != "auto":
            losses.add("service_tier")


def pseudonym(user: str) -> str:
    """A stable name for an end user that tells a provider nothing about who it is."""
    return hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()


def _name_the_rest(body: dict[str, Any], losses: Losses) -> None:
    for name, value in body.items():
        if name in _HANDLED or value is None or value in _SAME_AS_ABSENT.get(name, ()):
            continue
        losses.add(name)
