"""What was done so close to its deadline that nobody can say on which side."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; what was counted before is sure."""
    op.add_column("target_cell", sa.Column("unsure", sa.BigInteger, nullable=False, server_default="0"))
