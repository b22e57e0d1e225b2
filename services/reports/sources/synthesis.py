"""Makes the packaged sample: three invented assets, 400 days each; run as a module to write it again.

Every figure comes from seeded generators, none from a provider, so the set carries no licence.
"""

import gzip
import sys
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from services.reports.metrics import Array
from services.reports.sources.goplus import FLAGS
from services.reports.sources.walks import DAYS, columns, pegged, ranges, volumes, walk

SEED = 20261031
AS_OF = "2026-10-31T00:00:00+00:00"
TARGET = Path(__file__).parent / "sample.json.gz"


def market(history: dict[str, Any], total: float, maximum: float | None) -> dict[str, Any]:
    prices, caps = history["price"], history["cap"]
    high, low = int(np.argmax(prices)), int(np.argmin(prices))
    return {
        "price": prices[-1],
        "market_cap": caps[-1],
        "diluted_value": prices[-1] * (maximum or total),
        "volume_24h": history["volume"][-1],
        "ath": prices[high],
        "ath_at": date.fromordinal(history["day"][high] + 719_163).isoformat() + "T00:00:00+00:00",
        "atl": prices[low],
        "atl_at": date.fromordinal(history["day"][low] + 719_163).isoformat() + "T00:00:00+00:00",
        "circulating": caps[-1] / prices[-1],
        "total": total,
        "max": maximum,
        "uncapped": maximum is None,
        "tvl": None,
        "changes": {str(days): (prices[-1] / prices[-1 - days] - 1) * 100 for days in (1, 7, 30, 365)},
    }


def pools(rng: np.random.Generator, symbol: str, price: float, depth: float, count: int) -> list[dict[str, Any]]:
    quotes = ("WETH", "USDX", "DAIX", "WBTC", "EURX", "LSTX")
    dexes = ("orchard", "curvature", "meridian", "orchard", "ledgerswap", "meridian")
    found = []
    for rank in range(count):
        liquidity = depth * 0.52**rank * float(rng.uniform(0.9, 1.1))
        trades = int(max(6, liquidity / 9_000))
        found.append(
            {
                "dex": dexes[rank % 6],
                "pair": f"{symbol}/{quotes[rank % 6]}",
                "labels": ["v3"] if rank % 2 == 0 else ["v2"],
                "price_usd": float(f"{price * (1 + rng.normal(0, 0.0006)):.6g}"),
                "liquidity_usd": round(liquidity, 2),
                "volume_24h": round(liquidity * float(rng.uniform(0.15, 0.6)), 2),
                "buys_24h": trades,
                "sells_24h": int(trades * float(rng.uniform(0.85, 1.1))),
                "created_at": f"20{22 + rank % 4}-0{1 + rank % 8}-14T08:00:00+00:00",
            }
        )
    return found


def holders(rng: np.random.Generator, first: float, decay: float, tags: dict[int, str]) -> list[dict[str, Any]]:
    found = []
    for rank in range(100):
        part = first / (1 + rank) ** decay * float(rng.uniform(0.93, 1.07))
        found.append(
            {
                "address": f"0x{int(rng.integers(1, 2**60)):040x}",
                "tag": tags.get(rank),
                "contract": rank in tags,
                "locked": tags.get(rank) == "burn address",
                "share": float(f"{part:.5g}"),
            }
        )
    return sorted(found, key=lambda holder: -float(holder["share"]))


def venues(rng: np.random.Generator, total: float, count: int, spread: float) -> list[dict[str, Any]]:
    names = (
        "Borealis",
        "Quayside",
        "Tidewater",
        "Kestrel",
        "Lantern",
        "Harbourline",
        "Saltmarsh",
        "Windmill",
    )
    return [
        {
            "venue": names[rank],
            "volume_usd": round(total * 0.4 * 0.62**rank, 2),
            "spread": round(spread * (1 + 0.35 * rank) * float(rng.uniform(0.9, 1.1)), 6),
            "stale": rank == 6,
            "anomaly": False,
        }
        for rank in range(count)
    ]


def flags(**known: bool) -> dict[str, bool | None]:
    return {**dict.fromkeys(FLAGS, False), "is_open_source": True, "is_in_dex": True, **known}


def taxes(buy: float, sell: float) -> dict[str, float]:
    return {"buy": buy, "sell": sell, "transfer": 0.0}


def security(known: dict[str, bool], buy: float, sell: float, people: int, total: float) -> dict[str, Any]:
    return {
        "flags": flags(**known),
        "taxes": taxes(buy, sell),
        "holder_count": people,
        "total_supply": total,
        "owner_share": 0.0,
        "creator_share": 0.0,
        "holders": [],
        "pool_shares": [],
    }


def simulation(*, trap: bool, buy: float, sell: float, people: int) -> dict[str, Any]:
    return {
        "simulated": True,
        "honeypot": trap,
        "reason": "sale reverted in the simulation" if trap else None,
        "taxes": taxes(buy, sell),
        "open_source": not trap,
        "proxy": False,
        "holder_count": people,
        "risk": "honeypot" if trap else "low",
    }


def chain_data(people: int, total: float, price: float, born: str, owners: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "holder_count": people,
        "transfer_count": people * 41,
        "total_supply": total,
        "created_at": born,
        "price": price,
        "price_as_of": AS_OF,
        "holders": owners,
    }


def identity(token: str, name: str, symbol: str, categories: list[str], born: str, rank: int) -> dict[str, Any]:
    return {
        "id": token,
        "name": name,
        "symbol": symbol,
        "categories": categories,
        "platform": "ethereum",
        "genesis": born,
        "rank": rank,
        "notice": None,
    }


def activity(commits: int | None, stars: int | None) -> dict[str, Any]:
    return {"commits_4_weeks": commits, "stars": stars, "telegram_users": None}


def stable(rng: np.random.Generator, benchmarks: dict[str, Any]) -> dict[str, Any]:
    prices = pegged(rng)
    growth = np.cumsum(rng.normal(0.0005, 0.0022, DAYS))
    growth[262:300] -= np.linspace(0, 0.09, 38)
    growth[300:] -= 0.09
    supply = 4.1e9 * np.exp(growth)
    history = columns(prices, supply, volumes(rng, prices, 6.4e8))
    total = float(history["cap"][-1] / history["price"][-1])
    chains = {
        "Ethereum": 0.58,
        "Solana": 0.17,
        "Base": 0.11,
        "Arbitrum": 0.08,
        "Polygon": 0.04,
        "Avalanche": 0.02,
    }
    powers = {
        "is_proxy": True,
        "is_mintable": True,
        "is_blacklisted": True,
        "transfer_pausable": True,
        "trust_list": True,
    }
    price = float(history["price"][-1])
    owners = holders(rng, 0.062, 0.83, {0: "exchange", 2: "lending pool", 5: "bridge", 9: "exchange"})
    return {
        "coingecko": {
            "identity": identity("sample-dollar", "Sample Dollar", "SDLR", ["Stablecoins"], "2019-04-02", 31),
            "address": None,
            "market": market(history, total, None),
            "activity": activity(24, 612),
            "history": history,
            "benchmarks": benchmarks,
            "venues": venues(rng, 6.4e8, 8, 0.0002),
        },
        "defillama": {
            "quote": {"price": round(price * 1.0002, 6), "confidence": 0.99, "as_of": AS_OF},
            "stable": {
                "peg": "peggedUSD",
                "mechanism": "fiat-backed",
                "circulating": total,
                "price": price,
                "chains": {name: round(total * part, 2) for name, part in chains.items()},
                "flow": [[day, float(f"{held:.6g}")] for day, held in zip(history["day"], supply, strict=True)],
            },
            "protocol": None,
        },
        "dexscreener": {"pools": pools(rng, "SDLR", price, 4.8e7, 9)},
        "goplus": security(powers, 0.0, 0.0, 412_350, total),
        "honeypot": simulation(trap=False, buy=0.0, sell=0.0, people=412_350),
        "ethplorer": chain_data(411_902, total, round(price, 4), "2019-04-02T00:00:00+00:00", owners),
        "etherscan": {
            "raw_supply": None,
            "verified": True,
            "proxy": True,
            "compiler": "v0.8.19",
            "created_at": None,
        },
    }


def large(rng: np.random.Generator, benchmarks: dict[str, Any], shared: Array) -> dict[str, Any]:
    prices = walk(rng, 61.0, 0.32, 0.74, shared)
    supply = 1.18e8 * np.exp(np.linspace(0, 0.043, DAYS))
    history = columns(prices, supply, volumes(rng, prices, 4.2e8))
    price, total = float(history["price"][-1]), float(supply[-1] * 1.11)
    owners = holders(rng, 0.048, 0.78, {0: "exchange", 1: "staking contract", 4: "treasury", 11: "bridge"})
    return {
        "coingecko": {
            "identity": identity(
                "northstar",
                "Northstar",
                "NRTH",
                ["Decentralized Finance (DeFi)", "Governance"],
                "2020-09-16",
                42,
            ),
            "address": None,
            "market": market(history, total, 1.5e8),
            "activity": activity(186, 4_870),
            "history": history,
            "benchmarks": benchmarks,
            "venues": venues(rng, 4.2e8, 8, 0.0006),
        },
        "defillama": {
            "quote": {"price": float(f"{price * 0.9994:.6g}"), "confidence": 0.98, "as_of": AS_OF},
            "stable": None,
            "protocol": {
                "name": "Northstar",
                "category": "Lending",
                "tvl": 6.42e9,
                "change_1d": 0.8,
                "change_7d": -2.9,
                "change_30d": 4.6,
                "chains": {
                    "Ethereum": 4.31e9,
                    "Arbitrum": 9.8e8,
                    "Base": 6.4e8,
                    "Polygon": 3.1e8,
                    "Optimism": 1.8e8,
                },
                "fees_30d": 2.96e7,
                "revenue_30d": 5.9e6,
            },
        },
        "dexscreener": {"pools": pools(rng, "NRTH", price, 2.9e7, 8)},
        "goplus": security({}, 0.0, 0.0, 186_204, total),
        "honeypot": simulation(trap=False, buy=0.0, sell=0.0, people=186_204),
        "ethplorer": chain_data(186_011, total, float(f"{price:.4g}"), "2020-09-16T00:00:00+00:00", owners),
        "etherscan": {
            "raw_supply": None,
            "verified": True,
            "proxy": False,
            "compiler": "v0.8.20",
            "created_at": None,
        },
    }


def suspicious(rng: np.random.Generator, benchmarks: dict[str, Any], shared: Array) -> dict[str, Any]:
    quiet = np.zeros(DAYS - 1)
    prices = walk(rng, 0.00041, -1.1, 1.9, 0.2 * shared + quiet)
    rise = np.concatenate([np.zeros(190), np.linspace(0, 2.1, 46), np.full(DAYS - 236, 2.1)])
    crash = np.concatenate([np.zeros(241), np.linspace(0, -2.6, 9), np.full(DAYS - 250, -2.6)])
    prices = prices * np.exp(rise + crash)
    supply = np.full(DAYS, 8.8e9)
    history = columns(prices, supply, volumes(rng, prices, 3.1e5))
    price, total = float(history["price"][-1]), 1.0e10
    owners = holders(rng, 0.31, 1.45, {1: "liquidity pool"})
    powers = {
        "is_open_source": False,
        "is_honeypot": True,
        "cannot_sell_all": True,
        "owner_change_balance": True,
        "hidden_owner": True,
        "slippage_modifiable": True,
        "honeypot_with_same_creator": True,
        "is_mintable": True,
    }
    only_pools = pools(rng, "GLDN", price, 7.4e4, 2)
    only_pools[0].update(buys_24h=412, sells_24h=3, volume_24h=5_120_000.0)
    return {
        "coingecko": {
            "identity": identity("golden-goose", "Golden Goose", "GLDN", ["Meme"], "2025-09-20", 4_811),
            "address": None,
            "market": market(history, total, total),
            "activity": activity(None, None),
            "history": history,
            "benchmarks": benchmarks,
            "venues": venues(rng, 3.1e5, 2, 0.021),
        },
        "defillama": {
            "quote": {"price": price * 1.034, "confidence": 0.71, "as_of": AS_OF},
            "stable": None,
            "protocol": None,
        },
        "dexscreener": {"pools": only_pools},
        "goplus": {
            **security(powers, 0.05, 0.99, 1_894, total),
            "owner_share": 0.02,
            "creator_share": 0.31,
            "pool_shares": [
                {"address": f"0x{'0' * 36}7166", "tag": None, "contract": False, "locked": False, "share": 1.0}
            ],
        },
        "honeypot": simulation(trap=True, buy=0.05, sell=0.99, people=1_894),
        "ethplorer": chain_data(1_902, total, float(f"{price * 0.98:.4g}"), "2025-09-20T00:00:00+00:00", owners),
        "etherscan": {
            "raw_supply": None,
            "verified": False,
            "proxy": False,
            "compiler": None,
            "created_at": None,
        },
    }


def make() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    shared = rng.standard_t(5, DAYS - 1) / np.sqrt(5 / 3)
    coins = {}
    for name, start, drift, sigma, supply, level in (
        ("bitcoin", 61_000.0, 0.25, 0.46, 1.97e7, 2.9e10),
        ("ethereum", 2_450.0, 0.18, 0.66, 1.2e8, 1.4e10),
    ):
        prices = walk(rng, start, drift, sigma, shared)
        full = columns(prices, np.full(DAYS, supply), volumes(rng, prices, level))
        coins[name] = {"day": full["day"], "price": full["price"]}
    assets = {
        "stable": stable(rng, coins),
        "large": large(rng, coins, shared),
        "suspicious": suspicious(rng, coins, shared),
    }
    for asset in assets.values():
        asset["coingecko"]["ranges"] = ranges(rng, asset["coingecko"]["history"])
    return {
        "version": 1,
        "note": "Synthetic sample data: invented assets, seeded generators, no provider's figures.",
        "as_of": AS_OF,
        "assets": assets,
    }


def main() -> None:
    body = msgspec.json.encode(make())
    # No time stamp in the gzip header, so that the same seed gives the same bytes.
    TARGET.write_bytes(gzip.compress(body, 9, mtime=0))
    sys.stderr.write(f"{TARGET} {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
