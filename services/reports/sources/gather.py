"""All sources of one report: built from the configuration, asked side by side, each with its own deadline."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from services.reports.sources.base import (
    Alone,
    Asker,
    Cache,
    Finding,
    NotKnownError,
    Pace,
    Source,
    SourceError,
    Subject,
    Tape,
    Transport,
    Turns,
)
from services.reports.sources.coingecko import KEYLESS_URL, PRO_URL, Coingecko
from services.reports.sources.defillama import HOSTS, Defillama
from services.reports.sources.dexscreener import BASE_URL as DEXSCREENER_URL
from services.reports.sources.dexscreener import Dexscreener
from services.reports.sources.etherscan import BASE_URL as ETHERSCAN_URL
from services.reports.sources.etherscan import Etherscan
from services.reports.sources.ethplorer import BASE_URL as ETHPLORER_URL
from services.reports.sources.ethplorer import Ethplorer
from services.reports.sources.goplus import BASE_URL as GOPLUS_URL
from services.reports.sources.goplus import Goplus
from services.reports.sources.honeypot import BASE_URL as HONEYPOT_URL
from services.reports.sources.honeypot import Honeypot
from services.reports.sources.reading import DAY_MS

NAMES = ("coingecko", "defillama", "dexscreener", "goplus", "honeypot", "ethplorer", "etherscan")
SOURCE_SECONDS = 25.0
# Requests a second, below what each provider's free plan allows.
PACES = {
    "coingecko": 0.5,
    "defillama": 5.0,
    "dexscreener": 4.0,
    "goplus": 0.5,
    "honeypot": 2.0,
    "ethplorer": 1.5,
    "etherscan": 2.5,
}
BURSTS = {"coingecko": 8.0, "defillama": 10.0, "goplus": 5.0}
BIG_BODY_BYTES = 32 << 20
PUBLIC_URLS = (
    KEYLESS_URL,
    PRO_URL,
    *HOSTS.values(),
    DEXSCREENER_URL,
    GOPLUS_URL,
    HONEYPOT_URL,
    ETHPLORER_URL,
    ETHERSCAN_URL,
)


class Sources:
    """Makes a source per provider on demand; pace and breaker of a provider outlive the single report."""

    def __init__(
        self,
        transport: Transport,
        cache: Cache,
        clock: Callable[[], float],
        settings: Callable[[], Mapping[str, Any]],
        turns: Turns | None = None,
    ) -> None:
        self._transport = transport
        self._cache = cache
        self._clock = clock
        self._settings = settings
        self._turns = turns or Alone()
        self._paces: dict[str, Pace] = {}

    async def identify(self, subject: Subject, tape: Tape) -> dict[str, Any] | None:
        """What CoinGecko knows under this id: None when it is switched off; raises SourceError."""
        source = self._make("coingecko", tape)
        if not isinstance(source, Coingecko):
            return None
        async with asyncio.timeout(SOURCE_SECONDS):
            return await source.identify(subject)

    async def gather(self, subject: Subject, tape: Tape) -> list[Finding]:
        return list(await asyncio.gather(*(self._one(name, subject, tape) for name in NAMES)))

    async def _one(self, name: str, subject: Subject, tape: Tape) -> Finding:
        settled = tape.settled(name)
        if settled is not None:
            return settled
        try:
            source = self._make(name, tape)
            if source is None:
                return Finding(name, "skipped", reason=self._why_not(name))
            if not _covers(name, subject):
                return Finding(name, "unknown", reason=f"does not cover {subject.chain.name}")
            async with asyncio.timeout(SOURCE_SECONDS):
                return _timely(await source.gather(subject), subject)
        except NotKnownError:
            return Finding(name, "unknown", reason="token not known there")
        except SourceError as error:
            return Finding(name, "failed", reason=error.reason)
        except TimeoutError:
            return Finding(name, "failed", reason="timeout")

    def _make(self, name: str, tape: Tape) -> Source | None:
        setting = self._settings().get(name)
        if setting is not None and not setting.enabled:
            return None
        base = (setting.base_url or "").rstrip("/") if setting is not None else ""
        key = setting.api_key if setting is not None else ""
        if name == "etherscan" and not key and not base:
            # Nothing answers there without a key, so there is nothing to ask.
            return None
        return BUILDERS[name](self._asker(name, tape), base, key)

    def _why_not(self, name: str) -> str:
        setting = self._settings().get(name)
        return "switched off" if setting is not None and not setting.enabled else "needs an API key"

    def _asker(self, name: str, tape: Tape) -> Asker:
        pace = self._paces.get(name)
        if pace is None:
            burst = BURSTS.get(name, 3.0)
            pace = self._paces[name] = Pace(PACES[name], self._clock, burst, burst, self._clock())
        return Asker(name, "", self._transport, self._cache, pace, tape=tape, turns=self._turns)


def _timely(finding: Finding, subject: Subject) -> Finding:
    """Without a stamp of a day to come: that clock says nothing of how old the data is."""
    told = datetime.fromisoformat(finding.as_of).timestamp() * 1000 if finding.as_of else 0.0
    return replace(finding, as_of=None) if told > subject.now_ms + DAY_MS else finding


def _covers(name: str, subject: Subject) -> bool:
    return {"ethplorer": subject.chain.ethplorer, "honeypot": subject.chain.honeypot}.get(name, True)


def _coingecko(asker: Asker, base: str, key: str) -> Source:
    asker.base_url = base or KEYLESS_URL
    if key:
        # A paid key belongs to the paid host and its own header; a demo key to the public one.
        header = "x-cg-pro-api-key" if asker.base_url == PRO_URL else "x-cg-demo-api-key"
        asker.headers = {header: key}
    return Coingecko(asker)


def _defillama(asker: Asker, base: str, key: str) -> Source:
    asker.max_bytes = BIG_BODY_BYTES
    asker.timeout_seconds = 20.0
    # A paid or private host has the three as path prefixes, or all paths side by side.
    hosts: dict[str, tuple[str, ...]] = {name: (host,) for name, host in HOSTS.items()}
    if base:
        hosts = {name: (f"{base}/{name}", base) for name in HOSTS}
    return Defillama(asker, hosts)


def _dexscreener(asker: Asker, base: str, key: str) -> Source:
    asker.base_url = base or DEXSCREENER_URL
    return Dexscreener(asker)


def _goplus(asker: Asker, base: str, key: str) -> Source:
    asker.base_url = base.removesuffix("/api/v1") or GOPLUS_URL
    asker.headers = {"authorization": key} if key else {}
    return Goplus(asker)


def _honeypot(asker: Asker, base: str, key: str) -> Source:
    asker.base_url = base.removesuffix("/v2") or HONEYPOT_URL
    asker.headers = {"x-api-key": key} if key else {}
    return Honeypot(asker)


def _ethplorer(asker: Asker, base: str, key: str) -> Source:
    asker.base_url = base or ETHPLORER_URL
    asker.secret_query = {"apiKey": key or "freekey"}
    return Ethplorer(asker)


def _etherscan(asker: Asker, base: str, key: str) -> Source:
    asker.base_url = base if base.endswith("/api") else f"{base}/v2/api" if base else ETHERSCAN_URL
    asker.secret_query = {"apikey": key}
    return Etherscan(asker)


BUILDERS: dict[str, Callable[[Asker, str, str], Source]] = {
    "coingecko": _coingecko,
    "defillama": _defillama,
    "dexscreener": _dexscreener,
    "goplus": _goplus,
    "honeypot": _honeypot,
    "ethplorer": _ethplorer,
    "etherscan": _etherscan,
}
