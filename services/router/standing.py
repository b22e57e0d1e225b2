"""What follows from how an attempt ended: the target's record, a key's rest, an alert, and the figures."""

from collections.abc import Callable
from functools import cache

import structlog
from msgspec import structs
from prometheus_client import Counter, Histogram

from services.router.catalog import Target
from services.router.errors import Failure, rejected_credentials
from services.router.providers.base import Provider
from services.router.record import Records
from shared import clock
from shared.config.providers import Routing
from shared.lifecycle import Lifecycle

log = structlog.get_logger(__name__)

_KEY_REST_SECONDS = 60.0
ATTEMPTS = Counter("tollway_router_attempts", "Upstream attempts by how they ended", ["provider", "outcome"])
TTFT = Histogram(
    "tollway_router_time_to_first_token_seconds",
    "Time from the upstream request to its first content",
    ["provider"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64),
)
DROPPED = Counter("tollway_router_dropped_frames", "Frames of providers that were not JSON", ["provider"])


@cache
def _attempts(provider: str, outcome: str) -> Counter:
    return ATTEMPTS.labels(provider, outcome)


@cache
def _ttft(provider: str) -> Histogram:
    return TTFT.labels(provider)


class Standing:
    """Notes the outcomes of attempts."""

    def __init__(
        self, records: Records, routing: Callable[[], Routing], changed: Callable[[str], None], lifecycle: Lifecycle
    ) -> None:
        self._records = records
        self._routing = routing
        self._changed = changed
        self._lifecycle = lifecycle

    @property
    def leaving(self) -> str:
        """What a cancelled attempt is: the client left, unless it is us who stop."""
        return "interrupted" if self._lifecycle.expired.is_set() else "aborted"

    def answered(self, provider: Provider, target: Target, began_at: float, ttft_ms: float | None) -> None:
        """An attempt brought a whole answer."""
        _attempts(provider.name, "ok").inc()
        if ttft_ms is not None:
            _ttft(provider.name).observe(ttft_ms / 1000)
        if not provider.is_byo:
            self._records.of(target.key).succeeded(clock.now(), began_at, ttft_ms)
            self._changed(target.key)

    def left(self, provider: Provider) -> None:
        """The client left, which says nothing about the target."""
        _attempts(provider.name, "aborted").inc()

    def dropped(self, provider: Provider, frames: int) -> None:
        """Frames that no client got to see."""
        if frames:
            DROPPED.labels(provider.name).inc(frames)
            log.warning("frames_dropped", provider=provider.name, frames=frames)

    def failed(self, provider: Provider, target: Target, key: str, failure: Failure) -> Failure:
        """An attempt failed; returns the failure as the client may see it."""
        _attempts(provider.name, failure.kind).inc()
        if provider.is_byo:
            return failure
        failure = self._rest_key(provider, key, failure)
        if failure.counts:
            routing = self._routing()
            retry_after = failure.error.retry_after if failure.kind == "rate_limit" else None
            self._records.of(target.key).failed(
                clock.now(),
                failure.error.message,
                cooldown_seconds=routing.cooldown_seconds,
                probe_seconds=routing.probe_seconds,
                retry_after=retry_after,
            )
            self._changed(target.key)
        if failure.kind == "auth":
            log.error("credentials_rejected", provider=provider.name, model=target.model, status=failure.error.status)
            return structs.replace(failure, error=rejected_credentials(), headers={})
        return failure

    def _rest_key(self, provider: Provider, key: str, failure: Failure) -> Failure:
        if failure.kind not in ("auth", "quota", "rate_limit") or len(provider.keys.keys) < 2:
            return failure
        now = clock.monotonic()
        if failure.kind == "rate_limit":
            seconds = failure.error.retry_after or _KEY_REST_SECONDS
        else:
            seconds = self._routing().cooldown_seconds
        provider.keys.rest(key, now + seconds)
        return structs.replace(failure, other_key=provider.keys.has_fresh(now))
