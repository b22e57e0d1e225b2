"""What callers report that spend elsewhere: the seed's record fields, checked one by one, made into attempts. Pure."""

from decimal import Decimal
from typing import Annotated

import msgspec

from services.usage.event import MOST_TEXT, MOST_TOKENS, STATUSES, foreign_id
from shared import ids
from shared.errors import BadRequest, TooLarge, Unprocessable
from shared.messages.envelope import Named
from shared.messages.router import AttemptEnded
from shared.wire.nesting import MAX_DEPTH, too_deep
from shared.wire.splice import DoubledNameError, Members
from shared.wire.usage import TokenUsage

MOST_RECORDS = 10_000
MOST_COST = Decimal(1_000_000)
MOST_CLOCK_SKEW_SECONDS = 300

_Text = Annotated[str, msgspec.Meta(max_length=MOST_TEXT)]
_Error = Annotated[str, msgspec.Meta(max_length=20_000)]
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, lt=1e12)]
_Currency = Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{3}$")]


class Record(msgspec.Struct, kw_only=True):
    """One call made elsewhere. Fields that are not named here are ignored."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_TEXT)]
    function: _Text | None = None
    timestamp: Annotated[float, msgspec.Meta(ge=0, le=4_000_000_000)] | None = None
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_TEXT)] | None = None
    request_id: _Text | None = None
    attempt: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    kind: str = "model"
    key_id: _Text | None = None
    user_id: _Text | None = None
    anchor_id: _Text | None = None
    session_id: _Text | None = None
    provider: _Text | None = None
    requested_model: _Text | None = None
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    cache_read_tokens: _Tokens | None = None
    cache_write_tokens: _Tokens | None = None
    reasoning_tokens: _Tokens | None = None
    total_tokens: _Tokens | None = None
    cost: Decimal | None = None
    currency: _Currency | None = None
    usage_source: str | None = None
    duration_ms: _Milliseconds | None = None
    ttft_ms: _Milliseconds | None = None
    success: bool | None = None
    status: str | None = None
    error_msg: _Error | None = None


_decoder = msgspec.json.Decoder(list[Record] | Record)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


def parse(body: bytes) -> list[Record]:
    """One record or a list of them; raises BadRequest and its kin with the field named."""
    if too_deep(body):
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    try:
        found = _decoder.decode(body)
        for item in _raw_list.decode(body) if isinstance(found, list) else [body]:
            Members(bytes(item)).require_single(Record.__struct_fields__)
    except DoubledNameError as error:
        raise BadRequest(f"{error}.", param=error.name) from error
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error
    records = found if isinstance(found, list) else [found]
    if len(records) > MOST_RECORDS:
        raise TooLarge(f"At most {MOST_RECORDS} events can be recorded at once.")
    return records


def attempt_of(record: Record, place: str, key_id: str | None, now: float) -> AttemptEnded:
    """The attempt a record tells of; raises Unprocessable."""
    _check(record, place, now)
    status = record.status or ("error" if record.success is False else "ok")
    usage = TokenUsage(
        *_tokens(record, place),
        record.cache_read_tokens,
        record.cache_write_tokens,
        record.reasoning_tokens,
    )
    total = record.total_tokens if usage.total_tokens is None else usage.total_tokens
    told = total is not None
    return AttemptEnded(
        event_id=ids.new_id() if record.event_id is None else foreign_id(key_id, record.event_id),
        request_id=record.request_id or ids.request_id(),
        attempt=record.attempt,
        timestamp=now if record.timestamp is None else record.timestamp,
        kind=record.kind,
        named=Named(
            key_id=key_id,
            user_id=record.user_id,
            session_id=record.session_id,
            anchor_id=record.anchor_id,
            function=record.function,
        ),
        provider=record.provider,
        model=record.model,
        requested_model=record.requested_model or record.model,
        usage=usage if told else None,
        total_tokens=record.total_tokens,
        usage_source=record.usage_source or ("provider" if told else "none"),
        duration_ms=record.duration_ms,
        ttft_ms=record.ttft_ms,
        status=status,
        error_msg=record.error_msg or ("no reason was told" if status == "error" else None),
        cost=None if record.cost is None else format(record.cost, "f"),
        currency=record.currency,
    )


def _tokens(record: Record, place: str) -> tuple[int | None, int | None]:
    """Input and output; the one that is not told is what the total leaves of the other."""
    told_in, told_out, total = record.input_tokens, record.output_tokens, record.total_tokens
    if total is None or (told_in is None and told_out is None):
        return told_in, told_out
    rest = total - (told_in or 0) - (told_out or 0)
    if rest < 0 or (rest and None not in (told_in, told_out)):
        raise _out_of_range(place, "total_tokens", "must be the sum of input_tokens and output_tokens")
    return (rest if told_in is None else told_in), (rest if told_out is None else told_out)


def _check(record: Record, place: str, now: float) -> None:
    """What types alone do not say."""
    if record.timestamp is not None and record.timestamp > now + MOST_CLOCK_SKEW_SECONDS:
        raise _out_of_range(place, "timestamp", "must be Unix seconds and not in the future")
    cost = record.cost
    if cost is not None and not (cost.is_finite() and 0 <= cost <= MOST_COST):
        raise _out_of_range(place, "cost", f"must be between 0 and {MOST_COST}")
    if record.status is not None and record.status not in STATUSES:
        raise _out_of_range(place, "status", f"must be one of {', '.join(STATUSES)}")
    if None not in (record.status, record.success) and record.success != (record.status == "ok"):
        raise _out_of_range(place, "success", f"contradicts the status {record.status}")
    if record.kind not in ("model", "tool"):
        raise _out_of_range(place, "kind", "must be model or tool")
    if record.usage_source not in (None, "provider", "estimated", "none"):
        raise _out_of_range(place, "usage_source", "must be provider, estimated or none")
    for part, whole in _PARTS:
        inside, outside = getattr(record, part), getattr(record, whole)
        if inside is not None and outside is not None and inside > outside:
            raise _out_of_range(place, part, f"is a part of {whole} and cannot be more")


_PARTS = (
    ("cache_read_tokens", "input_tokens"),
    ("cache_write_tokens", "input_tokens"),
    ("reasoning_tokens", "output_tokens"),
)


def _out_of_range(place: str, field: str, reason: str) -> Unprocessable:
    name = f"{place}{field}"
    return Unprocessable(f"{name} {reason}", param=name)


def refusal(message: str) -> Unprocessable:
    """msgspec says `… - at `$[0].cost``, or `… missing required field `model``: the field is what callers look for."""
    reason, _, place = message.partition(" - at ")
    name = place.strip("`").removeprefix("$").removeprefix(".")
    if "missing required field" in reason or "contains unknown field" in reason:
        field = reason.rsplit("`", 2)[-2]
        name = f"{name}.{field}" if name else field
    return Unprocessable(f"{name}: {reason}" if name else reason, param=name or None)
