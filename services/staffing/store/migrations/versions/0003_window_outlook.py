"""Where contracts' windows will end, as last computed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "window_outlook",
        sa.Column("contract", sa.Text, primary_key=True),
        sa.Column("target_index", sa.Integer, primary_key=True),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
    )
