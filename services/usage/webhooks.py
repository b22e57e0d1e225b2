"""Notices from the outbox to webhooks, signed as Standard Webhooks are, tried again for a day."""

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.usage.store import alerts as store
from shared import clock
from shared.config import LiveConfig
from shared.database import Database
from shared.errors import TollwayError
from shared.http_client import HttpClient, HttpError, Timeout
from shared.settings import Settings, revealed

log = structlog.get_logger(__name__)

# Seconds until the next try; after the last one the notice is given up and stays in the alerts feed as undelivered.
RETRY_SECONDS = (1, 5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)
LOOK_EVERY_SECONDS = 1.0
DEADLINE_SECONDS = 10.0
_MICRO = 1_000_000
_PREFIX = "whsec_"


class Webhooks:
    """Sends what is due, for ever."""

    def __init__(self, database: Database, config: LiveConfig, http: HttpClient, settings: Settings) -> None:
        self._database = database
        self._config = config
        self._http = http
        self._secret = revealed(settings.webhook_secret)

    async def run(self) -> None:
        """Look for due notices until cancelled."""
        await self._database.ready.wait()
        while True:
            try:
                await self.send_due()
            except (TollwayError, SQLAlchemyError) as error:
                log.warning("webhooks_wait", error=repr(error))
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def send_due(self) -> int:
        """Send the notices that are due now; how many were taken by their receivers."""
        now_us = round(clock.now() * _MICRO)
        async with self._database.read() as connection:
            due = await store.due(connection, now_us)
        delivered = 0
        for notice in due:
            pause = RETRY_SECONDS[min(notice.attempts, len(RETRY_SECONDS) - 1)]
            async with self._database.begin() as connection:
                claimed = await store.claim(connection, notice.id, notice.attempts, now_us + pause * _MICRO)
            if claimed:
                delivered += await self._send(notice)
        return delivered

    async def _send(self, notice: Any) -> bool:
        alert = next((alert for alert in self._config.current.usage.alerts if alert.name == notice.budget), None)
        error: str | None
        if alert is None or not alert.webhook:
            error, final = "no webhook is configured for this limit any more", True
        else:
            error = await self._post(alert.webhook, alert.secret or self._secret, notice)
            final = notice.attempts + 1 >= len(RETRY_SECONDS)
        now_us = round(clock.now() * _MICRO)
        async with self._database.begin() as connection:
            if error is None:
                await store.sent(connection, notice.id, now_us)
            else:
                await store.failed(connection, notice.id, error, now_us if final else None)
        if error is not None:
            log.warning("webhook_failed", budget=notice.budget, attempt=notice.attempts + 1, error=error, final=final)
        return error is None

    async def _post(self, url: str, secret: str | None, notice: Any) -> str | None:
        """Why it was not taken; None when it was. The URL is the operator's own, so private addresses are fine."""
        headers = signed(notice.message_id, round(clock.now()), notice.body, secret)
        try:
            async with self._http.session().post(
                url,
                data=notice.body.encode(),
                headers=headers,
                timeout=Timeout(total=DEADLINE_SECONDS),
                allow_redirects=False,
            ) as answer:
                return None if 200 <= answer.status < 300 else f"answered {answer.status}"
        except (HttpError, OSError, TimeoutError, ValueError) as error:
            return type(error).__name__


def signed(message_id: str, timestamp: int, body: str, secret: str | None) -> dict[str, str]:
    """The headers of Standard Webhooks; without a secret there is no signature."""
    headers = {
        "content-type": "application/json",
        "user-agent": "tollway-usage",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
    }
    if secret:
        digest = hmac.new(_key(secret), f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _key(secret: str) -> bytes:
    """`whsec_…` is base64 of the key, as the standard writes it; anything else is the key itself."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except ValueError:
            return secret.encode()
    return secret.encode()
