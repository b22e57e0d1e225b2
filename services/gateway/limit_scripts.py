"""The atomic steps of limits and budgets, each as Lua for Redis and as Python for memory, with the same
effect.

One hash per key holds: `w` the minute, `rc rp tc tp` requests and tokens of this and the last minute; `dw ds mw ms`
the
day and month in force with what was spent in them; `held` the sum of the reservations `r:<id>` = `amount|expiry`, and
`hx` the time at which the first of them expires. Amounts are nano-units; -1 stands for "no limit".
"""

from collections.abc import Sequence

from shared.cache import Args, MemoryView, Script

OK, REQUESTS, TOKENS, DAY, MONTH, UNKNOWN_SPEND = range(6)
MINUTE = 60

_LUA_COMMON = """
local h = KEYS[1]
local function num(f) return tonumber(redis.call('HGET', h, f) or '0') end
local function put(f, v) redis.call('HSET', h, f, string.format('%.0f', v)) end
local function roll(now)
  local minute = math.floor(now / 60)
  local seen = num('w')
  if seen ~= minute then
    local last = seen == minute - 1
    put('rp', last and num('rc') or 0) put('tp', last and num('tc') or 0)
    put('rc', 0) put('tc', 0) put('w', minute)
  end
end
local function sweep(now)
  local first = redis.call('HGET', h, 'hx')
  if not first or now < tonumber(first) then return end
  local held, soonest = 0, nil
  local all = redis.call('HGETALL', h)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'r:' then
      local amount, ends = string.match(all[i + 1], '(.+)|(.+)')
      if tonumber(ends) <= now then redis.call('HDEL', h, all[i])
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
roll(now)
local rest = 1 - (now % 60) / 60
local verdict, tokens, nano = 0, twant, nwant
if rpm >= 0 and num('rc') + num('rp') * rest + 1 > rpm then verdict = 1 end
if verdict == 0 and tpm >= 0 then
  local room = tpm - num('tc') - math.ceil(num('tp') * rest)
  if room < tmin then verdict = 2 end
  tokens = math.min(twant, room)
end
if verdict == 0 and (dlimit >= 0 or mlimit >= 0) then
  sweep(now)
  if num('dw') ~= day or num('mw') ~= month then verdict = 5
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
if verdict == 0 then put('rc', num('rc') + 1) put('tc', num('tc') + tokens) end
redis.call('EXPIRE', h, ttl)
return {verdict, tokens, nano, num('rc'), num('rp'), num('tc'), num('tp'), num('ds'), num('ms'), num('held')}
"""
)

_SETTLE_LUA = (
    _LUA_COMMON
    + """
local now, id, minute = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local delta, spent = tonumber(ARGV[4]), tonumber(ARGV[5])
roll(now)
local field = minute == num('w') and 'tc' or 'tp'
put(field, math.max(0, num(field) + delta))
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
redis.call('EXPIRE', h, tonumber(ARGV[5]))
return 1
"""
)

_LOOK_LUA = (
    _LUA_COMMON
    + """
sweep(tonumber(ARGV[1]))
local known = num('dw') == tonumber(ARGV[2]) and num('mw') == tonumber(ARGV[3])
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

    def roll(self, now: float) -> None:
        """Begin a new minute if it is one."""
        minute = now // MINUTE
        if self["w"] != minute:
            last = self["w"] == minute - 1
            self["rp"], self["tp"] = (self["rc"], self["tc"]) if last else (0, 0)
            self["rc"], self["tc"], self["w"] = 0, 0, minute

    def sweep(self, now: float) -> None:
        """Drop reservations that nobody renewed."""
        if "hx" not in self.fields or now < self["hx"]:
            return
        held, soonest = 0.0, None
        for name in [name for name in self.fields if name.startswith("r:")]:
            amount, ends = map(float, self.fields[name].split("|"))
            if ends <= now:
                del self.fields[name]
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
    row.roll(now)
    rest = 1 - (now % MINUTE) / MINUTE
    verdict = OK
    if rpm >= 0 and row["rc"] + row["rp"] * rest + 1 > rpm:
        verdict = REQUESTS
    if verdict == OK and tpm >= 0:
        room = tpm - row["tc"] + (-row["tp"] * rest) // 1
        verdict = TOKENS if room < least_tokens else OK
        tokens = min(tokens, room)
    if verdict == OK and (day_limit >= 0 or month_limit >= 0):
        row.sweep(now)
        verdict, nano = _money(row, (day, day_limit), (month, month_limit), nano, least_nano)
        if verdict == OK:
            row.hold(str(args[11]), nano, float(args[12]))
    else:
        nano = 0
    if verdict == OK:
        row["rc"] += 1
        row["tc"] += tokens
    view.expire(keys[0], float(args[13]))
    told = (row[name] for name in ("rc", "rp", "tc", "tp", "ds", "ms", "held"))
    return [verdict, int(tokens), int(nano), *(int(number) for number in told)]


def _money(
    row: _Hash, day: tuple[float, float], month: tuple[float, float], nano: float, least: float
) -> tuple[int, float]:
    """Whether there is room for an amount, and how much of it can be held."""
    if row["dw"] != day[0] or row["mw"] != month[0]:
        return UNKNOWN_SPEND, nano
    for limit, spent, verdict in ((day[1], row["ds"], DAY), (month[1], row["ms"], MONTH)):
        if limit >= 0:
            room = limit - spent - row["held"]
            if room < least or room <= 0:
                return verdict, nano
            nano = min(nano, room)
    return OK, nano


def _settle(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    now, minute, delta, spent = float(args[0]), float(args[2]), float(args[3]), float(args[4])
    row = _Hash(view, keys[0])
    row.roll(now)
    field = "tc" if minute == row["w"] else "tp"
    row[field] = max(0, row[field] + delta)
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
    view.expire(keys[0], float(args[4]))
    return 1


def _look(view: MemoryView, keys: Sequence[str], args: Args) -> list[int]:
    row = _Hash(view, keys[0])
    row.sweep(float(args[0]))
    known = row["dw"] == float(args[1]) and row["mw"] == float(args[2])
    return [int(known), int(row["ds"]), int(row["ms"]), int(row["held"])]


ADMIT = Script("gateway_admit", _ADMIT_LUA, _admit)
SETTLE = Script("gateway_settle", _SETTLE_LUA, _settle)
RENEW = Script("gateway_renew", _RENEW_LUA, _renew)
SEED = Script("gateway_seed", _SEED_LUA, _seed)
LOOK = Script("gateway_look", _LOOK_LUA, _look)
