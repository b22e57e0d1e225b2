"""Answers that refuse: in the client's dialect, or the provider's own bytes where both speak the same one."""

from services.router.answer import WholeAnswer, ending_of
from services.router.catalog import Target
from services.router.errors import Failure
from services.router.headers import JSON, ours
from services.router.providers.base import Provider
from shared.errors import TollwayError
from shared.messages.gateway import Call, Spent
from shared.translate.errors import render
from shared.wire.errors import error_object
from shared.wire.json_text import NotJsonError, decode_object, encode

_LONGEST_WAIT_SECONDS = 120


def of_error(call: Call, error: TollwayError) -> WholeAnswer:
    """What the router refuses by itself: nobody was asked."""
    body = error_object(
        call.dialect, error.status, error.message, code=error.error_code, param=error.param, request_id=call.request_id
    )
    headers = {"content-type": JSON, "x-tollway-attempts": "0", **error.headers}
    if not error.retryable:
        headers["x-should-retry"] = "false"
    return WholeAnswer(error.status, headers, encode(body), ending_of([], "error", error.message))


def of_failure(
    call: Call, failure: Failure, provider: Provider, target: Target, attempts: int, spent: list[Spent]
) -> WholeAnswer:
    """What the last provider asked had to say."""
    error = failure.error
    own_words = error.body and error.dialect == call.dialect and error.status >= 400 and _is_object(error.body)
    body = error.body if own_words else render(error, call.dialect, call.request_id)
    headers = {**failure.headers, **ours(target.model, provider.name, attempts), "content-type": JSON}
    if error.retry_after is not None:
        headers.setdefault("retry-after", f"{error.retry_after:g}")
    if failure.kind in ("quota", "auth") or (error.retry_after or 0) > _LONGEST_WAIT_SECONDS:
        headers["x-should-retry"] = "false"
    return WholeAnswer(error.status, headers, body, ending_of(spent, "error", error.message))


def _is_object(body: bytes) -> bool:
    try:
        decode_object(body)
    except NotJsonError:
        return False
    return True
