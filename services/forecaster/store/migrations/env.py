"""Alembic's way in; the work is done by muster.kit.migrations."""

from muster.kit.migrations import run_migrations

run_migrations()
