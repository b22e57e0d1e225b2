"""Security: what the contract lets its owner do. Unknown is not safe; an issuer's powers are no scam."""

from datetime import date
from typing import Any

from services.reports.chapters.market import EPOCH
from services.reports.chapters.material import Material

CRITICAL = {
    "is_honeypot": True,
    "cannot_sell_all": True,
    "owner_change_balance": True,
    "hidden_owner": True,
    "selfdestruct": True,
    "can_take_back_ownership": True,
}
HIGH = {
    "slippage_modifiable": True,
    "personal_slippage_modifiable": True,
    "is_open_source": False,
    "honeypot_with_same_creator": True,
    "cannot_buy": True,
}
# Powers that are ordinary for a named issuer and a warning for an anonymous one.
ISSUER = {"transfer_pausable": True}
NOTED = {"is_proxy": True, "is_mintable": True, "is_blacklisted": True}
TRAP_TAX, HIGH_TAX = 0.5, 0.1
BURNT = ("0x0000000000000000000000000000000000000000", "0x000000000000000000000000000000000000dead")
# Issuers whose powers are public and contractual, besides GoPlus' own trust list.
KNOWN_ISSUERS = {
    "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
    "0xdac17f958d2ee523a2206206994597c13d831ec7",
    "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    "0x6b175474e89094c44da98b954eedeac495271d0f",
    "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599",
}


def write(material: Material, address: str) -> None:
    flags = material.of("goplus").get("flags") or {}
    trusted = flags.get("trust_list") is True or address in KNOWN_ISSUERS
    _taxes(material)
    trap = _worse(("goplus", flags.get("is_honeypot")), ("honeypot", material.of("honeypot").get("honeypot")))
    book = material.book
    reason = material.reason("goplus", "honeypot")
    book.add("honeypot", trap[1], "flag", trap[0], reason=reason)
    verified = _first(material, ("etherscan", "verified"), ("goplus", "is_open_source"), ("honeypot", "open_source"))
    book.add("verified", verified[1], "flag", verified[0], reason=reason)
    told = {source: material.of(source).get("proxy") for source in ("etherscan", "honeypot")}
    proxy = _worse(("etherscan", told["etherscan"]), ("goplus", flags.get("is_proxy")), ("honeypot", told["honeypot"]))
    book.add("proxy", proxy[1], "flag", proxy[0], reason=reason)
    _age(material)
    _pool_shares(material)
    _alarms(material, flags, trusted=trusted)
    checked = [value for name, value in flags.items() if name not in ("trust_list", "is_in_dex")]
    share = sum(value is not None for value in checked) / len(checked) if checked else None
    book.add("checks_known", share, "percent", "goplus", formula="checks with data / checks", reason=reason)
    _counts(material, flags, reason)


def _counts(material: Material, flags: dict[str, Any], reason: str) -> None:
    """No findings is a finding only where every such check was made: one that was not may be the one that fails."""
    for severity, checks in (("critical", CRITICAL), ("high", HIGH | ISSUER)):
        found = [alarm for alarm in material.alarms if alarm["severity"] == severity]
        made = all(flags.get(name) is not None for name in checks)
        count = float(len(found)) if found or made else None
        source = "goplus" if made or not found else found[0]["sources"][0]
        material.book.add(f"alarms_{severity}", count, "count", source, reason=reason)


def _taxes(material: Material) -> None:
    """The worse of the two sources counts; a simulation can miss what the code allows, and the reverse."""
    for name in ("buy", "sell", "transfer"):
        told = {
            source: tax
            for source in ("goplus", "honeypot")
            if (tax := (material.of(source).get("taxes") or {}).get(name)) is not None
        }
        source = max(told, key=lambda key: told[key], default="goplus")
        reason = material.reason("goplus", "honeypot")
        material.book.add(f"{name}_tax", told.get(source), "percent", source, reason=reason)


def _pool_shares(material: Material) -> None:
    """How much of the pool cannot be drawn out: its shares that are locked or burnt, among the largest listed."""
    holders = material.of("goplus").get("pool_shares") or []
    if not holders:
        return
    known = [holder for holder in holders if holder["locked"] is not None or holder["address"] in BURNT]
    safe = sum(holder["share"] for holder in known if holder["locked"] or holder["address"] in BURNT)
    formula = "shares of the pool that are locked or burnt, largest holders"
    reason = material.reason("goplus")
    material.book.add("lp_locked", safe if known else None, "percent", "goplus", formula=formula, reason=reason)


def _worse(*told: tuple[str, bool | None]) -> tuple[str, bool | None]:
    """Who says yes, else who says no: one source that saw it is enough."""
    for wanted in (True, False):
        for source, verdict in told:
            if verdict is wanted:
                return source, wanted
    return told[0][0], None


def _first(material: Material, *places: tuple[str, str]) -> tuple[str, bool | None]:
    for source, name in places:
        data = material.of(source)
        found = (data.get("flags") or data).get(name)
        if isinstance(found, bool):
            return source, found
    return places[0][0], None


def _age(material: Material) -> None:
    for source in ("etherscan", "ethplorer"):
        born = material.of(source).get("created_at")
        if born:
            days = material.as_of_day - (date.fromisoformat(born[:10]).toordinal() - EPOCH)
            # Nothing is made tomorrow: a wrong stamp is no age.
            if days >= 0:
                material.book.add("contract_age", float(days), "days", source)
                return
    material.book.add("contract_age", None, "days", "etherscan", reason=material.reason("etherscan", "ethplorer"))


def _alarms(material: Material, flags: dict[str, Any], *, trusted: bool) -> None:
    for severity, rules in (("critical", CRITICAL), ("high", HIGH), ("high", ISSUER), ("info", NOTED)):
        for name, bad in rules.items():
            if flags.get(name) is bad:
                known_power = trusted and rules is not CRITICAL
                level = "issuer" if known_power else severity
                material.alarms.append({"id": name, "severity": level, "sources": ["goplus"]})
    trap = material.of("honeypot")
    if trap.get("honeypot") is True:
        known = next((a for a in material.alarms if a["id"] == "is_honeypot"), None)
        if known:
            known["sources"].append("honeypot")
        else:
            material.alarms.append({"id": "is_honeypot", "severity": "critical", "sources": ["honeypot"]})
    tax = material.book.number("sell_tax")
    if tax is not None and tax > HIGH_TAX:
        severity = "critical" if tax >= TRAP_TAX else "high"
        fact = next(f for f in material.book if f.id == "sell_tax")
        material.alarms.append({"id": "sell_tax", "severity": severity, "sources": [fact.source]})
