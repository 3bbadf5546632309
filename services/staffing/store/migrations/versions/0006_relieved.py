"""What was locked for an interval, and whether more came than that relieves its targets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; for what was closed before, nothing is known to be locked: it counts."""
    op.add_column("volume_cell", sa.Column("locked", sa.Float()))
    op.add_column("target_cell", sa.Column("relieved", sa.Boolean(), nullable=False, server_default=sa.false()))
