"""By what today's run had moved the days after."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make room for it; no day is moved yet."""
    op.add_column("forecast_day", sa.Column("moved", sa.Float()))
