"""What every service's `migrations/env.py` runs: online migrations on a given connection or a URL."""

from alembic import context
from sqlalchemy import MetaData, create_engine, pool


def run(metadata: MetaData) -> None:
    """Migrate within one transaction per migration."""
    config = context.config
    connection = config.attributes.get("connection")
    if connection is not None:
        _on(connection, metadata)
        return
    engine = create_engine(config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
    with engine.connect() as own:
        _on(own, metadata)
        own.commit()
    engine.dispose()


def _on(connection: object, metadata: MetaData) -> None:
    config = context.config
    context.configure(
        connection=connection,  # type: ignore[arg-type]  # alembic hands it on as it came
        target_metadata=metadata,
        version_table=config.attributes["version_table"],
        render_as_batch=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
