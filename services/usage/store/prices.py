"""Price rows and exchange rates that were added to the ledger itself."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.tables import corrections, events, prices, rates
from shared.prices import Price, Tier
from shared.rates import Rate


async def read_prices(connection: AsyncConnection) -> list[Price]:
    """All added prices, the newest first: of two that begin together the later one holds."""
    found = await connection.execute(select(prices).order_by(prices.c.id.desc()))
    return [_price(row) for row in found]


async def add_price(connection: AsyncConnection, price: Price, now_us: int) -> int:
    """Add a price; its number."""
    tier = price.tiers[0]
    values = {
        "model": price.model,
        "provider": price.provider,
        "currency": price.currency,
        "input": tier.input,
        "output": tier.output,
        "cache_read": tier.cache_read,
        "cache_write": tier.cache_write,
        "reasoning": tier.reasoning,
        "display_name": price.display_name,
        "valid_from": price.valid_from,
        "valid_to": price.valid_to,
        "created_us": now_us,
    }
    result = await connection.execute(prices.insert().values(values).returning(prices.c.id))
    return int(result.scalar_one())


async def read_rates(connection: AsyncConnection) -> list[Rate]:
    """All added exchange rates."""
    found = await connection.execute(select(rates).order_by(rates.c.id))
    return [
        Rate(source=row.source, target=row.target, value=row.value, valid_from=row.valid_from, origin="ledger")
        for row in found
    ]


async def put_rate(connection: AsyncConnection, rate: Rate) -> None:
    """Add an exchange rate, or change the one of that day."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert: Any = dialect.insert(rates).values(
        source=rate.source, target=rate.target, value=rate.value, valid_from=rate.valid_from
    )
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["source", "target", "valid_from"], set_={"value": insert.excluded.value}
        )
    )


async def last_corrections(connection: AsyncConnection, limit: int, run_id: str | None) -> Sequence[Row[Any]]:
    """The last corrections, the newest first, each with the model of its event while that is kept."""
    columns = (events.c.model, events.c.requested_model, events.c.at_us.label("event_us"))
    statement = select(corrections, *columns).outerjoin(events, events.c.event_id == corrections.c.event_id)
    if run_id is not None:
        statement = statement.where(corrections.c.run_id == run_id)
    return (await connection.execute(statement.order_by(corrections.c.id.desc()).limit(limit))).all()


def _price(row: Any) -> Price:
    tier = Tier(
        input=row.input,
        output=row.output,
        cache_read=row.cache_read,
        cache_write=row.cache_write,
        reasoning=row.reasoning,
    )
    return Price(
        model=row.model,
        provider=row.provider,
        currency=row.currency,
        tiers=(tier,),
        source="ledger",
        version=f"#{row.id}",
        display_name=row.display_name,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )
