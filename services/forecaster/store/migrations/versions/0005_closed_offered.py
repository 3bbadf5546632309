"""What was published of a closed interval: also how many were offered, for the rest of the day."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; what was closed before it is read from the volume itself."""
    op.add_column("closed_cell", sa.Column("offered", sa.BigInteger()))
