"""What calls count against budgets."""

from services.gateway.spending import CEILING, Spending
from shared.config import Config, LiveConfig
from shared.prices import Price, Tier
from shared.wire.usage import TokenUsage


def test_tokens_that_a_price_does_not_name_count_at_the_ceiling_and_never_nothing() -> None:
    spending = Spending(None, LiveConfig(Config()))
    embedding = Price(model="m", currency="CNY", tiers=(Tier(input=1_000_000),))
    assert spending.in_currency(embedding, TokenUsage(1000, 0)) == 1000
    ceiling = CEILING.cost(TokenUsage(1000, 10))
    assert ceiling is not None
    assert spending.in_currency(embedding, TokenUsage(1000, 10)) == ceiling.nano
    assert spending.in_currency(embedding, TokenUsage()) == 0
