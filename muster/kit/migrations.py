"""Run a service's migrations on the connection that `muster.kit.sql.migrate` hands over."""

from alembic import context


def run_migrations() -> None:
    """Called by a service's migrations/env.py."""
    connection = context.config.attributes["connection"]
    metadata = context.config.attributes.get("metadata")
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
    context.run_migrations()
