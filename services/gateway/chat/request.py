"""What the chat surface is asked: a session with one message, or a whole conversation, and how to answer it."""

from typing import Annotated, Any

import msgspec

from services.gateway.identity import Own, identify
from services.gateway.request import ClientRequest, chat_request, read_members
from shared.errors import BadRequest, Unprocessable
from shared.messages.gateway import Byo
from shared.wire.splice import Members

ALL_TOOLS = ("*",)
AUTO = "auto"
_OBJECTS = ("model_config", "tollway")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


Name = Annotated[str, msgspec.Meta(max_length=256)]


class ModelConfig(msgspec.Struct):
    """Which model answers and how; `base_url` names the request's own endpoint."""

    model_name: Name | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    api_key: str | None = None
    base_url: str | None = None


class _Ask(msgspec.Struct, rename={"settings": "model_config"}):
    session_id: str | None = None
    user_id: str | None = None
    content: str | None = None
    messages: list[dict[str, Any]] | None = None
    settings: ModelConfig | None = None
    tollway: Own | None = None


class _Stop(msgspec.Struct):
    session_id: str | None = None
    request_id: str | None = None


def read_chat(body: bytes, headers: dict[str, str], *, direct: bool, observer: Any) -> ClientRequest:
    """The request for an answer; raises BadRequest or Unprocessable naming the field that is wrong."""
    ask = _read(body, _Ask)
    settings = ask.settings or ModelConfig()
    identity = identify(
        headers,
        session_id=ask.session_id,
        user_id=ask.user_id,
        own=ask.tollway,
        metadata=None,
        prompt_cache_key=None,
    )
    if not identity.session_id:
        raise Unprocessable("'session_id' is required.", param="session_id")
    parameters = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    return chat_request(
        messages=_messages(ask) if direct else [{"role": "user", "content": _content(ask)}],
        model=settings.model_name or AUTO,
        parameters={name: value for name, value in parameters.items() if value is not None}
        | {"stream_options": {"include_usage": True}},
        session_id=identity.session_id,
        user_id=identity.user_id,
        function=identity.function,
        anchor_id=identity.anchor_id,
        tools=ALL_TOOLS if identity.tools is None else identity.tools,
        remember=not direct,
        keep_aborted=not direct,
        byo=_byo(settings),
        observer=observer,
    )


def read_stop(body: bytes) -> tuple[str | None, str | None]:
    """Whose answer is to stop: a session's, or that of one request."""
    stop = _read(body, _Stop)
    if not stop.session_id and not stop.request_id:
        raise Unprocessable("'session_id' or 'request_id' is required.", param="session_id")
    return stop.session_id, stop.request_id


def _read(body: bytes, kind: Any) -> Any:
    _require_single(read_members(body))
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        param = place.rstrip("`").lstrip(".") or "body"
        raise Unprocessable(f"'{param}' is not valid: {reason}.", param=param) from error


def _require_single(members: Members, within: str = "") -> None:
    if members.doubled:
        name = within + min(members.doubled)
        raise BadRequest(f"'{name}' is given twice.", param=name)
    for name in _OBJECTS:
        raw = members.raw(name)
        if raw is not None and raw.startswith(b"{"):
            _require_single(Members(raw), f"{name}.")


def _content(ask: _Ask) -> str:
    if not ask.content:
        raise Unprocessable("'content' must be a text that is not empty.", param="content")
    return ask.content


def _messages(ask: _Ask) -> list[dict[str, Any]]:
    if not ask.messages:
        raise Unprocessable("'messages' must not be empty.", param="messages")
    for index, message in enumerate(ask.messages):
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise Unprocessable(f"'messages[{index}].role' is not a role.", param=f"messages[{index}].role")
        if not _is_content(message.get("content"), role):
            raise Unprocessable(f"'messages[{index}].content' is not valid.", param=f"messages[{index}].content")
    return ask.messages


def _is_content(content: Any, role: str) -> bool:
    if content is None or content == "":
        return role in ("assistant", "tool")
    return isinstance(content, str) or (isinstance(content, list) and all(isinstance(part, dict) for part in content))


def _byo(settings: ModelConfig) -> Byo | None:
    if not settings.base_url:
        return None
    if not settings.api_key:
        raise Unprocessable(
            "'model_config.api_key' is required with a base_url: our keys are never sent there.",
            param="model_config.api_key",
        )
    return Byo(base_url=settings.base_url, api_key=settings.api_key)
