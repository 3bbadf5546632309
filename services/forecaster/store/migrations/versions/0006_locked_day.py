"""The forecast that a contract locked for a day, as what came was held against it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table, and room for when intervals of a forecast came; what closed before it was held against nothing, and stays so."""
    op.create_table(
        "locked_day",
        sa.Column("queue", sa.Text(), primary_key=True),
        sa.Column("local_date", sa.Text(), primary_key=True),
        sa.Column("locked_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.add_column("received_forecast", sa.Column("times", sa.JSON()))
