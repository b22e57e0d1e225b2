"""GoPlus: what the contract's code allows its owner to do, taxes, and the largest holders."""

from typing import Any

from services.reports.sources.base import Asker, Finding, NotKnownError, SourceError, Subject
from services.reports.sources.reading import amount, flag, mapping, number, sequence, share, text, whole

NAME = "goplus"
BASE_URL = "https://api.gopluslabs.io"
FLAGS = (
    "is_open_source",
    "is_proxy",
    "is_mintable",
    "can_take_back_ownership",
    "owner_change_balance",
    "hidden_owner",
    "selfdestruct",
    "external_call",
    "cannot_buy",
    "cannot_sell_all",
    "slippage_modifiable",
    "personal_slippage_modifiable",
    "is_honeypot",
    "honeypot_with_same_creator",
    "transfer_pausable",
    "is_blacklisted",
    "is_whitelisted",
    "trading_cooldown",
    "trust_list",
    "is_in_dex",
)


class Goplus:
    """Its errors come inside HTTP 200 and its fields vanish when unknown."""

    name = NAME

    def __init__(self, asker: Asker) -> None:
        self._ask = asker

    async def gather(self, subject: Subject) -> Finding:
        path = f"/api/v1/token_security/{subject.chain.chain_id}"
        answer = mapping(await self._ask.json(path, {"contract_addresses": subject.address}))
        code = number(answer.get("code"))
        if code is None:
            raise SourceError("bad_answer")
        if code != 1:
            raise SourceError("rate_limited" if code == 4029 else f"provider_code_{int(code)}")
        found = mapping(mapping(answer.get("result")).get(subject.address))
        if not found:
            raise NotKnownError
        data = read_security(found)
        reason = None if any(value is not None for value in data["flags"].values()) else "no checks told"
        return Finding(NAME, "ok", data, reason, endpoints=["/api/v1/token_security/{chain_id}"])


def read_security(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "flags": {name: flag(found.get(name)) for name in FLAGS},
        "taxes": {name: share(found.get(f"{name}_tax")) for name in ("buy", "sell", "transfer")},
        "holder_count": amount(found.get("holder_count")),
        "total_supply": amount(found.get("total_supply")),
        "owner_share": share(found.get("owner_percent")),
        "creator_share": share(found.get("creator_percent")),
        "holders": read_holders(found.get("holders")),
        "pool_shares": read_holders(found.get("lp_holders")),
    }


def read_holders(rows: Any) -> list[dict[str, Any]]:
    holders = []
    for row in map(mapping, sequence(rows, 100)):
        part = share(row.get("percent"))
        if part is not None:
            holders.append(
                {
                    "address": text(row.get("address"), 64),
                    "tag": text(row.get("tag"), 60),
                    "contract": flag(_as_flag(row.get("is_contract"))),
                    "locked": flag(_as_flag(row.get("is_locked"))),
                    "share": part,
                }
            )
    return whole(holders)


def _as_flag(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
