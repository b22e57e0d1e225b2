"""Structured logs: JSON in containers, colour on a terminal; prompts and keys never."""

import json as json_text
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

_encoder = msgspec.json.Encoder()

_SECRET = (
    "authorization",
    "api_key",
    "apikey",
    "x-api-key",
    "token",
    "secret",
    "password",
    "cookie",
    "messages",
    "prompt",
    "content",
)


def configure(*, json: bool | None = None, debug: bool = False) -> None:
    """Set up structlog and the standard library's logging to write one line per event on stderr."""
    as_json = not sys.stderr.isatty() if json is None else json
    level = logging.DEBUG if debug else logging.INFO
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    render: Any = structlog.processors.JSONRenderer(serializer=_json) if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*before, structlog.processors.format_exc_info, render] if as_json else [*before, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    after = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(after)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def _json(event: Any, **options: Any) -> str:
    """msgspec where it can, the standard library's way for values it does not know."""
    try:
        return _encoder.encode(event).decode()
    except (TypeError, ValueError):
        return str(json_text.dumps(event, default=options.get("default", str)))


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name says that they must not be written."""
    for name in event:
        if name != "event" and name.lower() in _SECRET:
            event[name] = "…"
    return event
