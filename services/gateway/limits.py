"""Admission: one atomic step reserves a request's place in its key's rates and its possible cost in its
budgets.

A reservation lives for `LIFETIME_SECONDS` unless its process renews it, so that a crash frees the key again. While
the shared cache is away, every process counts by itself, from what it was told last and what the ledger says was spent.
"""

from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from services.gateway import limit_scripts as scripts
from services.gateway.callers import Key
from services.gateway.rate_headers import Standing
from services.gateway.request import ClientRequest
from services.gateway.spending import Spending
from shared import clock
from shared.cache import Args, Cache, Script
from shared.cache_memory import MemoryCache
from shared.errors import BudgetExceeded, CacheUnavailable, RateLimited, TollwayError
from shared.ids import new_id
from shared.messages.gateway import Dialect, Ending
from shared.money import decimal_of

log = structlog.get_logger(__name__)

LIFETIME_SECONDS = 30
RENEW_SECONDS = 10
IDLE_SECONDS = 172_800
UNBOUNDED_OUTPUT_TOKENS = 4096  # reserved for a request that sets no bound itself
USUAL_OUTPUT_TOKENS = 256  # of an unbounded request against a rate, which is soft where a budget is not
UNKNOWN_OUTPUT_TOKENS = 1  # the least a request is admitted with while nothing is known of the model's answers
MOST_HABITS = 1000
MOST_SECONDS_KNOWN = 60
SHARED = "shared"  # the reservation that stands for all that was held when the shared cache went away
NO_LIMIT = -1


@dataclass(eq=False)
class Hold:
    """A place taken in a key's limits, to be settled exactly once."""

    key: Key
    model: str
    reservation: str
    tokens: int
    nano: int
    slot: int
    cache: Cache
    standing: Standing
    settled: bool = field(default=False)


@dataclass(frozen=True, kw_only=True)
class BudgetStanding:
    """Nano-units of usage.currency that count against a key's budgets."""

    spent_today: int
    spent_this_month: int
    reserved: int


@dataclass(frozen=True)
class _Known:
    """What the shared cache told last of a key's limits."""

    at: float
    windows: tuple[int, int]
    told: list[int]


@dataclass
class _Habit:
    """The most output tokens a model was lately seen to use for requests without a bound."""

    most: int | None = None

    def saw(self, tokens: int) -> None:
        """Rises at once, sinks slowly."""
        self.most = tokens if self.most is None else max(tokens, int(self.most * 0.9))


class Limiter:
    """Reserves, renews and settles."""

    def __init__(self, cache: Cache, spending: Spending) -> None:
        self._cache = cache
        self._alone = MemoryCache()
        self._spending = spending
        self._holds: set[Hold] = set()
        self._habits: dict[str, _Habit] = {}
        self._active: dict[str, Key] = {}
        self._known: dict[str, _Known] = {}
        self._is_alone = False

    def take_active(self) -> list[Key]:
        """Keys with a budget that were used since the last time."""
        keys, self._active = list(self._active.values()), {}
        return keys

    async def admit(self, key: Key, request: ClientRequest) -> Hold:
        """Take a place; raises RateLimited or BudgetExceeded."""
        now = clock.now()
        wanted, least = self._tokens(request)
        unbounded = request.max_output_tokens is None
        day, month = self._spending.windows(now)
        price = self._spending.price_of(request.model) if key.budgeted else None
        reservation = new_id()
        args: Args = [
            now,
            _limit(key.requests_per_minute),
            _limit(key.tokens_per_minute),
            min(sum(wanted), wanted[0] + max(least[1], USUAL_OUTPUT_TOKENS)) if unbounded else sum(wanted),
            sum(least),
            day,
            _limit(key.budget_per_day),
            month,
            _limit(key.budget_per_month),
            price.cost(*wanted) if price else 0,
            price.cost(*(least if unbounded else wanted)) if price else 0,
            reservation,
            now + LIFETIME_SECONDS,
            IDLE_SECONDS,
        ]
        cache, told = await self._run(scripts.ADMIT, key, args)
        if told[0] == scripts.UNKNOWN_SPEND:
            await self._seed(key, cache)
            cache, told = await self._run(scripts.ADMIT, key, args)
        if cache is self._cache:
            self._known[key.id] = _Known(now, (day, month), told)
        standing = Standing.of(key, told)
        _raise_if_refused(key, told, standing, request.dialect)
        hold = Hold(
            key,
            request.model,
            reservation,
            int(told[1]),
            int(told[2]),
            int(now // scripts.SLOT_SECONDS),
            cache,
            standing,
        )
        self._holds.add(hold)
        if key.budgeted:
            self._active[key.id] = key
        return hold

    async def settle(self, hold: Hold, ending: Ending | None, *, bounded: bool) -> None:
        """Give the place back and count what was really used."""
        if hold.settled:
            return
        hold.settled = True
        self._holds.discard(hold)
        spent = ending.spent if ending else []
        used = sum((attempt.usage.total_tokens or 0) for attempt in spent if attempt.usage)
        outputs = [attempt.usage.output_tokens for attempt in spent if attempt.usage and attempt.usage.output_tokens]
        if outputs and not bounded:
            if len(self._habits) >= MOST_HABITS:
                self._habits.clear()  # names that clients make up must not be remembered without end
            self._habits.setdefault(hold.model, _Habit()).saw(max(outputs))
        cost = self._spending.cost(spent) if hold.key.budgeted else 0
        now = clock.now()
        args: Args = [now, hold.reservation, hold.slot, used - hold.tokens, cost, IDLE_SECONDS]
        try:
            await hold.cache.run(scripts.SETTLE, [_name(hold.key)], args)
        except CacheUnavailable:
            # The reservation expires by itself and the ledger knows the cost; only our own count has
            # to hear of it.
            await self._alone.run(scripts.SETTLE, [_name(hold.key)], args)

    async def renew(self) -> None:
        """Prolong what still runs."""
        by_key: dict[tuple[str, int], list[Hold]] = {}
        for hold in self._holds:
            if hold.key.budgeted:
                by_key.setdefault((hold.key.id, id(hold.cache)), []).append(hold)
        for holds in by_key.values():
            args: list[str | int | float] = [clock.now() + LIFETIME_SECONDS]
            for hold in holds:
                args += [hold.reservation, hold.nano]
            try:
                await holds[0].cache.run(scripts.RENEW, [_name(holds[0].key)], args)
            except CacheUnavailable:
                continue

    async def look(self, key: Key) -> BudgetStanding:
        """What counts against a key's budgets right now; spent and reserved together never exceed them."""
        now = clock.now()
        args: Args = [now, *self._spending.windows(now)]
        cache, told = await self._run(scripts.LOOK, key, args)
        if not told[0]:
            await self._seed(key, cache)
            cache, told = await self._run(scripts.LOOK, key, args)
        return BudgetStanding(spent_today=told[1], spent_this_month=told[2], reserved=told[3])

    async def reconcile(self, key: Key) -> None:
        """Take up what the ledger knows and our count does not: what a dead process had spent."""
        for cache in (self._cache, self._alone):
            try:
                await self._seed(key, cache)
            except TollwayError as error:
                log.debug("budget_not_reconciled", key_id=key.id, error=error.error_code)

    def _tokens(self, request: ClientRequest) -> tuple[tuple[int, int], tuple[int, int]]:
        """Input and output tokens: the most a request may use, and the least it is admitted with."""
        habit = self._habits.get(request.model)
        usual = habit.most if habit and habit.most is not None else None
        told = request.max_output_tokens
        most = told if told is not None else usual if usual is not None else UNBOUNDED_OUTPUT_TOKENS
        inputs = request.input_estimate
        return (inputs, most), (inputs, min(most, usual if usual is not None else UNKNOWN_OUTPUT_TOKENS))

    async def _run(self, script: Script, key: Key, args: Args) -> tuple[Cache, list[int]]:
        for _ in range(2):
            with suppress(CacheUnavailable):
                told = await self._cache.run(script, [_name(key)], args)
                self._tell(is_alone=False)
                return self._cache, told
            if not self._cache.connected:
                break
            # It answers others and was only too slow for us; to be counted twice is better than not to be counted.
        self._tell(is_alone=True)
        await self._catch_up(key)
        return self._alone, await self._alone.run(script, [_name(key)], args)

    def _tell(self, *, is_alone: bool) -> None:
        if is_alone != self._is_alone:
            self._is_alone = is_alone
            log.warning("limits_counted_alone" if is_alone else "limits_counted_together_again")

    async def _catch_up(self, key: Key) -> None:
        """Begin to count alone where the shared count stood; what others hold is held until the ledger knows better."""
        known, now, names = self._known.pop(key.id, None), clock.now(), [_name(key)]
        if known is None or now - known.at > MOST_SECONDS_KNOWN:
            return
        _, _, _, requests, tokens, *_, spent_today, spent_this_month, held = known.told
        await self._alone.run(scripts.CATCH_UP, names, [now, requests, tokens, IDLE_SECONDS])
        if key.budgeted:
            day, month = known.windows
            await self._alone.run(scripts.SETTLE, names, [now, SHARED, 0, 0, 0, IDLE_SECONDS])
            await self._alone.run(scripts.SEED, names, [day, spent_today, month, spent_this_month, IDLE_SECONDS])
            await self._alone.run(scripts.RENEW, names, [now + LIFETIME_SECONDS, SHARED, held])

    async def _seed(self, key: Key, cache: Cache) -> None:
        spent = await self._spending.of_key(key.id)
        args: Args = [spent.day_start, spent.day_nano, spent.month_start, spent.month_nano, IDLE_SECONDS]
        await cache.run(scripts.SEED, [_name(key)], args)


def _name(key: Key) -> str:
    return f"tollway:limits:{key.id}"


def _limit(limit: int | None) -> int:
    return NO_LIMIT if limit is None else limit


def _raise_if_refused(key: Key, told: list[int], standing: Standing, dialect: Dialect) -> None:
    verdict = told[0]
    if verdict == scripts.REQUESTS:
        raise RateLimited(
            f"Rate limit reached: {key.requests_per_minute} requests per minute.",
            retry_after=told[5] / 1000,
            headers=standing.headers(dialect),
        )
    if verdict == scripts.TOKENS:
        raise RateLimited(
            f"Rate limit reached: {key.tokens_per_minute} tokens per minute.",
            retry_after=told[5] / 1000,
            headers=standing.headers(dialect),
        )
    if verdict in (scripts.DAY, scripts.MONTH):
        daily = verdict == scripts.DAY
        limit = (key.budget_per_day if daily else key.budget_per_month) or 0
        spent = told[8] if daily else told[9]
        raise BudgetExceeded(
            f"The {'daily' if daily else 'monthly'} budget of this key is {decimal_of(limit)}: "
            f"{decimal_of(spent)} is spent and {decimal_of(told[10])} is reserved by running requests.",
            headers={"x-should-retry": "false"},
        )
