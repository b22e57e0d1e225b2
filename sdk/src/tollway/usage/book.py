"""The two doors to bookkeeping: the process's monitor, and the function that books one call by hand."""

import atexit
import logging
import threading
from pathlib import Path
from typing import Any

from tollway.settings import read_settings
from tollway.usage.labels import current_labels
from tollway.usage.local import LocalUsageMonitor
from tollway.usage.monitor import UsageMonitor
from tollway.usage.record import Labels, Usage, label
from tollway.usage.remote import ServerUsageMonitor
from tollway.usage.tokens import Tokens, count

log = logging.getLogger("tollway.usage")

_monitors: dict[tuple[str | None, str | None, Path], UsageMonitor] = {}
_making = threading.Lock()


def get_usage_monitor() -> UsageMonitor:
    """The monitor of this process: local JSONL files, or the server that TOLLWAY_URL names."""
    settings = read_settings()
    where = (settings.url, settings.key, settings.usage_directory)
    monitor = _monitors.get(where)
    if monitor is not None:
        return monitor
    with _making:
        if where not in _monitors:
            _monitors[where] = (
                ServerUsageMonitor(settings.url, settings.key, settings.usage_directory)
                if settings.url
                else LocalUsageMonitor(settings.usage_directory)
            )
        return _monitors[where]


@atexit.register
def close_monitors() -> None:
    """At the end of the program: one last try for everything that is not stored yet."""
    while _monitors:
        _monitors.popitem()[1].close()


def record_ai_usage(  # noqa: PLR0913 - the seed's own signature
    model: str,
    function: str,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    duration_ms: float | None = None,
    success: bool = True,  # noqa: FBT001, FBT002 - the seed's own signature
    error_msg: str | None = None,
    user_id: str | None = None,
    anchor_id: str | None = None,
    session_id: str | None = None,
    *,
    cost: float | None = None,
    cache_read_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    total_tokens: int | None = None,
    timestamp: float | None = None,
    event_id: str | None = None,
    **extra: Any,
) -> dict[str, Any] | None:
    """Books one call by hand and returns its record. Never raises; unknown token counts are None, not 0.

    `cost` overrides the price table; `total_tokens` is for callers that know no split of it. Further keywords
    (provider, request_id, …) become fields of the record.
    """
    try:
        around = current_labels()
        usage = Usage(
            model=str(model),
            function=str(function),
            tokens=Tokens.told(
                count(input_tokens),
                count(output_tokens),
                count(total_tokens),
                cache_read=count(cache_read_tokens),
                cache_write=count(cache_write_tokens),
                reasoning=count(reasoning_tokens),
            ),
            cost=cost,
            duration_ms=duration_ms,
            success=bool(success),
            error_msg=label(error_msg),
            labels=Labels(
                user_id=label(user_id) or around.user_id,
                anchor_id=label(anchor_id) or around.anchor_id,
                session_id=label(session_id) or around.session_id,
            ),
            timestamp=timestamp,
            event_id=event_id,
            extra=extra,
        )
        return get_usage_monitor().record(usage)
    except Exception:  # bookkeeping must never break the caller's call
        log.exception("usage of %r in %r could not be recorded", model, function)
        return None
