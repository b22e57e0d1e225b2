"""The atomic steps of limits and budgets, each as Lua for Redis and as Python for memory, with the same effect.

One hash per key holds: `m0 … m11` the last minute in slots of five seconds, each `slot|requests|tokens`; `dw ds mw ms`
the day and month in force with what was spent in them; `held` the sum of the reservations `r:<id>` = `amount|expiry`,
`hx` the time at which the first of them expires, and `lost` is there when one expired unsettled, so that only the
ledger knows what was spent of it. Amounts are nano-units; -1 stands for "no limit".
"""

import math
from collections.abc import Sequence

from shared.cache import Args, MemoryView, Script

OK, REQUESTS, TOKENS, DAY, MONTH, UNKNOWN_SPEND = range(6)
SLOT_SECONDS = 5
SLOTS = 12

_LUA_COMMON = """
local h = KEYS[1]
local function num(f) return tonumber(redis.call('HGET', h, f) or '0') end
local function put(f, v) redis.call('HSET', h, f, string.format('%.0f', v)) end
local function slots(now)
  local slot, found = math.floor(now / 5), {}
  local kept = redis.call('HMGET', h, 'm0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8', 'm9', 'm10', 'm11')
  for k = 1, 12 do
    local s, r, t
    if kept[k] then s, r, t = string.match(kept[k], '(%d+)|(%d+)|(%d+)') end
    s = tonumber(s or '0')
    if s and slot - s < 12 and s <= slot then found[#found + 1] = {s, tonumber(r), tonumber(t)} end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  return slot, found
end
local function used(found, n)
  local sum = 0
  for _, e in ipairs(found) do sum = sum + e[n] end
  return sum
end
local function wait(found, n, over, now)
  for _, e in ipairs(found) do
    over = over - e[n]
    if over <= 0 and e[n] > 0 then return math.ceil(((e[1] + 12) * 5 - now) * 1000) end
  end
  return 60000
end
local function reset(found, n, now)
  for i = #found, 1, -1 do
    if found[i][n] > 0 then return math.ceil(((found[i][1] + 12) * 5 - now) * 1000) end
  end
  return 0
end
local function add(slot, requests, tokens)
  local field = 'm' .. (slot % 12)
  local s, r, t = string.match(redis.call('HGET', h, field) or '0|0|0', '(%d+)|(%d+)|(%d+)')
  if tonumber(s) ~= slot then r, t = 0, 0 end
  local sum = math.max(0, tonumber(t) + tokens)
  redis.call('HSET', h, field, string.format('%.0f|%.0f|%.0f', slot, tonumber(r) + requests, sum))
end
local function sweep(now)
  local first = redis.call('HGET', h, 'hx')
  if not first or now < tonumber(first) then return end
  local held, soonest = 0, nil
  local all = redis.call('HGETALL', h)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'r:' then
      local amount, ends = string.match(all[i + 1], '(.+)|(.+)')
      if tonumber(ends) <= now then redis.call('HDEL', h, all[i]) put('lost', 1)
      else
        held = held + tonumber(amount)
        if not soonest or tonumber(ends) < soonest then soonest = tonumber(ends) end
      end
    end
  end
  put('held', held)
  if soonest then put('hx', soonest) else redis.call('HDEL', h, 'hx') end
end
local function hold(id, amount, ends)
  redis.call('HSET', h, 'r:' .. id, string.format('%.0f|%.0f', amount, ends))
  put('held', num('held') + amount)
  local first = redis.call('HGET', h, 'hx')
  if not first or ends < tonumber(first) then put('hx', ends) end
end
"""

_ADMIT_LUA = (
    _LUA_COMMON
    + """
local function arg(n) return tonumber(ARGV[n]) end
local now, rpm, tpm, twant, tmin = arg(1), arg(2), arg(3), arg(4), arg(5)
local day, dlimit, month, mlimit = arg(6), arg(7), arg(8), arg(9)
local nwant, nmin, id, ends, ttl = arg(10), arg(11), ARGV[12], arg(13), arg(14)
local slot, found = slots(now)
local requests, used_tokens = used(found, 2), used(found, 3)
local verdict, tokens, nano, waits = 0, twant, nwant, 0
if rpm >= 0 and requests + 1 > rpm then
  verdict, waits = 1, wait(found, 2, requests + 1 - rpm, now)
end
if verdict == 0 and tpm >= 0 then
  local room = tpm - used_tokens
  if room < tmin then verdict, waits = 2, wait(found, 3, tmin - room, now) end
  tokens = math.min(twant, room)
end
if verdict == 0 and (dlimit >= 0 or mlimit >= 0) then
  sweep(now)
  if num('dw') ~= day or num('mw') ~= month or num('lost') > 0 then verdict = 5
  else
    local held = num('held')
    local droom, mroom = dlimit - num('ds') - held, mlimit - num('ms') - held
    if dlimit >= 0 and (droom < nmin or droom <= 0) then verdict = 3
    elseif mlimit >= 0 and (mroom < nmin or mroom <= 0) then verdict = 4
    else
      if dlimit >= 0 then nano = math.min(nano, droom) end
      if mlimit >= 0 then nano = math.min(nano, mroom) end
      hold(id, nano, ends)
    end
  end
else nano = 0 end
if verdict == 0 then
  add(slot, 1, tokens)
  slot, found = slots(now)
  requests, used_tokens = requests + 1, used_tokens + tokens
end
redis.call('EXPIRE', h, ttl)
return {verdict, tokens, nano, requests, used_tokens, waits, reset(found, 2, now), reset(found, 3, now),
  num('ds'), num('ms'), num('held')}
"""
)

_SETTLE_LUA = (
    _LUA_COMMON
    + """
local now, id, slot = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local delta, spent = tonumber(ARGV[4]), tonumber(ARGV[5])
local kept = string.match(redis.call('HGET', h, 'm' .. (slot % 12)) or '0|0|0', '(%d+)|')
if tonumber(kept) == slot then add(slot, 0, delta) end
local found = redis.call('HGET', h, 'r:' .. id)
if found then
  redis.call('HDEL', h, 'r:' .. id)
  put('held', math.max(0, num('held') - tonumber(string.match(found, '(.+)|'))))
end
if num('dw') > 0 then put('ds', num('ds') + spent) put('ms', num('ms') + spent) end
redis.call('EXPIRE', h, tonumber(ARGV[6]))
return 1
"""
)

_RENEW_LUA = (
    _LUA_COMMON
    + """
local ends = tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', h, 'r:' .. ARGV[i]) == 1 then
    redis.call('HSET', h, 'r:' .. ARGV[i], string.format('%.0f|%.0f', tonumber(ARGV[i + 1]), ends))
  else hold(ARGV[i], tonumber(ARGV[i + 1]), ends) end
end
return 1
"""
)

_SEED_LUA = (
    _LUA_COMMON
    + """
local function seed(window, spent, start, amount)
  if num(window) ~= start then put(window, start) put(spent, amount)
  else put(spent, math.max(num(spent), amount)) end
end
seed('dw', 'ds', tonumber(ARGV[1]), tonumber(ARGV[2]))
seed('mw', 'ms', tonumber(ARGV[3]), tonumber(ARGV[4]))
redis.call('HDEL', h, 'lost')
redis.call('EXPIRE', h, tonumber(ARGV[5]))
return 1
"""
)

_CATCH_UP_LUA = (
    _LUA_COMMON
    + """
local slot, found = slots(tonumber(ARGV[1]))
local requests, tokens = tonumber(ARGV[2]) - used(found, 2), tonumber(ARGV[3]) - used(found, 3)
if requests > 0 or tokens > 0 then add(slot, math.max(0, requests), math.max(0, tokens)) end
redis.call('EXPIRE', h, tonumber(ARGV[4]))
return 1
"""
)

_LOOK_LUA = (
    _LUA_COMMON
    + """
sweep(tonumber(ARGV[1]))
local known = num('dw') == tonumber(ARGV[2]) and num('mw') == tonumber(ARGV[3]) and num('lost') == 0
return {known and 1 or 0, num('ds'), num('ms'), num('held')}
"""
)


class _Hash:
    """The hash with numbers in it."""

    def __init__(self, view: MemoryView, key: str) -> None:
        self.fields = view.hash(key)

    def __getitem__(self, name: str) -> float:
        return float(self.fields.get(name, "0"))

    def __setitem__(self, name: str, value: float) -> None:
        self.fields[name] = f"{value:.0f}"

    def slots(self, now: float) -> list[tuple[int, int, int]]:
        """The last minute's slots with their requests and tokens, oldest first."""
        current = int(now // SLOT_SECONDS)
        kept = [self._slot(number) for number in range(SLOTS)]
        return sorted(entry for entry in kept if 0 <= current - entry[0] < SLOTS)

    def add(self, slot: int, requests: int, tokens: int) -> None:
        """Count in a slot, which may begin with that."""
        kept, counted, used = self._slot(slot % SLOTS)
        if kept != slot:
            counted, used = 0, 0
        self.fields[f"m{slot % SLOTS}"] = f"{slot}|{counted + requests}|{max(0, used + tokens)}"

    def correct(self, slot: int, tokens: int) -> None:
        """Change what a slot counted, unless it has passed."""
        if self._slot(slot % SLOTS)[0] == slot:
            self.add(slot, 0, tokens)

    def _slot(self, number: int) -> tuple[int, int, int]:
        slot, requests, tokens = map(int, self.fields.get(f"m{number}", "0|0|0").split("|"))
        return slot, requests, tokens

    def sweep(self, now: float) -> None:
        """Drop reservations that nobody renewed."""
        if "hx" not in self.fields or now < self["hx"]:
            return
        held, soonest = 0.0, None
        for name in [name for name in self.fields if name.startswith("r:")]:
            amount, ends = map(float, self.fields[name].split("|"))
            if ends <= now:
                del self.fields[name]
                self["lost"] = 1
            else:
                held, soonest = held + amount, min(ends, soonest or ends)
        self["held"] = held
        self.fields.pop("hx")
        if soonest is not None:
            self["hx"] = soonest

    def hold(self, reservation: str, amount: float, ends: float) -> None:
        """Add a reservation."""
        self.fields[f"r:{reservation}"] = f"{amount:.0f}|{ends:.0f}"
        self["held"] += amount
        if "hx" not in self.fields or ends < self["hx"]:
            self["hx"] = ends


def _admit(view: MemoryView, keys: Sequence[str], args: Args) -> list[int]:
    now, rpm, tpm, tokens, least_tokens, day, day_limit, month, month_limit, nano, least_nano = map(float, args[:11])
    row = _Hash(view, keys[0])
    slots = row.slots(now)
    requests, used = sum(entry[1] for entry in slots), sum(entry[2] for entry in slots)
    verdict, waits = OK, 0
    if rpm >= 0 and requests + 1 > rpm:
        verdict, waits = REQUESTS, _wait(slots, 1, requests + 1 - rpm, now)
    if verdict == OK and tpm >= 0:
        room = tpm - used
        if room < least_tokens:
            verdict, waits = TOKENS, _wait(slots, 2, least_tokens - room, now)
        tokens = min(tokens, room)
    if verdict == OK and (day_limit >= 0 or month_limit >= 0):
        row.sweep(now)
        verdict, nano = _money(row, (day, day_limit), (month, month_limit), nano, least_nano)
        if verdict == OK:
            row.hold(str(args[11]), nano, float(args[12]))
    else:
        nano = 0
    if verdict == OK:
        row.add(int(now // SLOT_SECONDS), 1, int(tokens))
        slots, requests, used = row.slots(now), requests + 1, used + int(tokens)
    view.expire(keys[0], float(args[13]))
    told = (row[name] for name in ("ds", "ms", "held"))
    resets = _reset(slots, 1, now), _reset(slots, 2, now)
    return [verdict, int(tokens), int(nano), requests, used, waits, *resets, *(int(number) for number in told)]


def _wait(slots: list[tuple[int, int, int]], which: int, over: float, now: float) -> int:
    """Milliseconds until enough of the oldest slots have passed."""
    for entry in slots:
        over -= entry[which]
        if over <= 0 and entry[which] > 0:
            return _passes(entry[0], now)
    return SLOTS * SLOT_SECONDS * 1000


def _reset(slots: list[tuple[int, int, int]], which: int, now: float) -> int:
    """Milliseconds until nothing of the last minute counts any more."""
    return next((_passes(entry[0], now) for entry in reversed(slots) if entry[which] > 0), 0)


def _passes(slot: int, now: float) -> int:
    return math.ceil(((slot + SLOTS) * SLOT_SECONDS - now) * 1000)


def _money(
    row: _Hash, day: tuple[float, float], month: tuple[float, float], nano: float, least: float
) -> tuple[int, float]:
    """Whether there is room for an amount, and how much of it can be held."""
    if row["dw"] != day[0] or row["mw"] != month[0] or row["lost"]:
        return UNKNOWN_SPEND, nano
    for limit, spent, verdict in ((day[1], row["ds"], DAY), (month[1], row["ms"], MONTH)):
        if limit >= 0:
            room = limit - spent - row["held"]
            if room < least or room <= 0:
                return verdict, nano
            nano = min(nano, room)
    return OK, nano


def _settle(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    spent = float(args[4])
    row = _Hash(view, keys[0])
    row.correct(int(args[2]), int(args[3]))
    found = row.fields.pop(f"r:{args[1]}", None)
    if found is not None:
        row["held"] = max(0, row["held"] - float(found.split("|")[0]))
    if row["dw"] > 0:
        row["ds"] += spent
        row["ms"] += spent
    view.expire(keys[0], float(args[5]))
    return 1


def _renew(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    ends = float(args[0])
    row = _Hash(view, keys[0])
    for reservation, amount in zip(args[1::2], args[2::2], strict=True):
        if f"r:{reservation}" in row.fields:
            row.fields[f"r:{reservation}"] = f"{float(amount):.0f}|{ends:.0f}"
        else:
            row.hold(str(reservation), float(amount), ends)
    return 1


def _seed(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    row = _Hash(view, keys[0])
    for window, spent, start, amount in (("dw", "ds", args[0], args[1]), ("mw", "ms", args[2], args[3])):
        row[spent] = float(amount) if row[window] != float(start) else max(row[spent], float(amount))
        row[window] = float(start)
    row.fields.pop("lost", None)
    view.expire(keys[0], float(args[4]))
    return 1


def _catch_up(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    row, now = _Hash(view, keys[0]), float(args[0])
    slots = row.slots(now)
    requests = int(args[1]) - sum(entry[1] for entry in slots)
    tokens = int(args[2]) - sum(entry[2] for entry in slots)
    if requests > 0 or tokens > 0:
        row.add(int(now // SLOT_SECONDS), max(0, requests), max(0, tokens))
    view.expire(keys[0], float(args[3]))
    return 1


def _look(view: MemoryView, keys: Sequence[str], args: Args) -> list[int]:
    row = _Hash(view, keys[0])
    row.sweep(float(args[0]))
    known = row["dw"] == float(args[1]) and row["mw"] == float(args[2]) and not row["lost"]
    return [int(known), int(row["ds"]), int(row["ms"]), int(row["held"])]


ADMIT = Script("gateway_admit", _ADMIT_LUA, _admit)
SETTLE = Script("gateway_settle", _SETTLE_LUA, _settle)
RENEW = Script("gateway_renew", _RENEW_LUA, _renew)
SEED = Script("gateway_seed", _SEED_LUA, _seed)
CATCH_UP = Script("gateway_catch_up", _CATCH_UP_LUA, _catch_up)
LOOK = Script("gateway_look", _LOOK_LUA, _look)
