"""How many abandons of an interval were short: they say nothing of patience."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; of what was closed before, none is known to be short."""
    op.add_column("volume_cell", sa.Column("short_abandoned", sa.BigInteger, nullable=False, server_default="0"))
