"""Single events: reading them back, and recording those that were spent elsewhere."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.usage import record
from services.usage.answer import Json, event_as_read
from services.usage.routes.edge import LedgerHere, ReaderHere
from services.usage.store import events as store
from shared import clock
from shared.errors import BadRequest, Forbidden, TooLarge, UnsupportedEncoding

router = APIRouter(prefix="/api/ai_usage", tags=["usage"])

MOST_BYTES = 32 << 20
_Name = Annotated[str | None, Query(max_length=512)]


@router.get("/events")
async def events(
    ledger: LedgerHere,
    reader: ReaderHere,
    request_id: _Name = None,
    session_id: _Name = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: _Name = None,
) -> Response:
    """Events, the newest first."""
    before = None if cursor is None else _position(cursor)
    async with ledger.resources.database.read() as connection:
        rows = await store.page(
            connection,
            limit + 1,
            key_id=reader.key_id,
            request_id=request_id,
            session_id=session_id,
            before=before,
        )
        shown = rows[:limit]
        corrections = await store.corrected(connection, [str(row.event_id) for row in shown])
    body: dict[str, Any] = {
        "events": [event_as_read(row, corrections.get(str(row.event_id), ()), ledger.zone) for row in shown],
        "next_cursor": _cursor(shown[-1]) if len(rows) > limit else None,
    }
    return Json(body)


@router.post("/record")
async def record_events(ledger: LedgerHere, reader: ReaderHere, request: Request) -> Response:
    """Book one event or a list of them; answered when they are in the ledger."""
    if reader.role == "ops":
        raise Forbidden("The ops token only reads.")
    records = record.parse(await _body(request))
    now = clock.now()
    single = len(records) == 1
    attempts = [
        record.attempt_of(
            item,
            "" if single else f"[{index}].",
            item.key_id if reader.sees_all else reader.key_id,
            now,
        )
        for index, item in enumerate(records)
    ]
    booked = await ledger.book.book(attempts)
    return Json(
        {
            "accepted": len(booked.accepted),
            "duplicates": booked.duplicates,
            "event_ids": [attempt.event_id for attempt in attempts],
        }
    )


async def _body(request: Request) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedEncoding
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge
    return bytes(body)


def _cursor(row: Any) -> str:
    return base64.urlsafe_b64encode(f"{row.at_us}.{row.event_id}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        at_us, _, event_id = text.partition(".")
        position = int(at_us), event_id
    except (ValueError, binascii.Error) as error:
        raise BadRequest("cursor is not one that was given out", param="cursor") from error
    if not 0 <= position[0] < 2**62 or len(event_id) != 36:
        raise BadRequest("cursor is not one that was given out", param="cursor")
    return position
