from typing import Any

import pytest

from services.router.catalog import Target
from services.router.costs import Costs
from shared.config.live import LiveConfig
from shared.config.schema import Config
from shared.peers import LocalPeer
from shared.prices import flat
from shared.wire.json_text import encode

pytestmark = pytest.mark.asyncio
CHEAP, DEAR = Target("p", "cheap"), Target("p", "dear")


async def ledger(scope: Any, receive: Any, send: Any) -> None:
    """The usage service's app, with a price that somebody added there."""
    assert scope["path"] == "/internal/prices"
    row = flat("dear", "CNY", {"input": "9", "output": "9"}, source="ledger")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": encode({"rows": [row.to_row()]})})


def config(strategy: str) -> Config:
    prices = {"cheap": {"input": 1, "output": 1}, "dear": {"input": 0.5, "output": 0.5}}
    return Config.model_validate({"routing": {"strategy": strategy}, "usage": {"prices": prices}})


async def test_prices_added_to_the_ledger_of_the_same_process_count() -> None:
    live = LiveConfig(config("cost"))
    costs = Costs(live, LocalPeer(ledger))
    assert costs.of(DEAR) == 2e9
    await costs.refresh()
    assert costs.of(DEAR) == 36e9


async def test_nobody_is_asked_while_nobody_orders_by_cost() -> None:
    async def refuses(*_: Any) -> None:
        pytest.fail("asked for prices")

    await Costs(LiveConfig(config("weighted")), LocalPeer(refuses)).refresh()
