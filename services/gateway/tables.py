"""The gateway's one table: client keys, stored by their hash."""

import sqlalchemy as sa

metadata = sa.MetaData()

keys = sa.Table(
    "gateway_keys",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("owner", sa.String(200)),
    sa.Column("models", sa.JSON(none_as_null=True)),
    sa.Column("tools", sa.JSON(none_as_null=True)),
    sa.Column("default_tools", sa.JSON(none_as_null=True)),
    sa.Column("requests_per_minute", sa.BigInteger),
    sa.Column("tokens_per_minute", sa.BigInteger),
    sa.Column("budget_per_day", sa.BigInteger),
    sa.Column("budget_per_month", sa.BigInteger),
    sa.Column("expires_at", sa.Double),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False, index=True),
    sa.Column("revoked_at", sa.Double),
)
