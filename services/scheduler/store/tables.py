"""The scheduler's tables."""

import sqlalchemy as sa

from muster.book.copy import add_book_tables
from muster.kit.sql import add_kit_tables

metadata = sa.MetaData()
add_kit_tables(metadata)
add_book_tables(metadata)

requirement_day = sa.Table(
    "requirement_day",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("starts", sa.JSON, nullable=False),
    sa.Column("scheduled", sa.JSON, nullable=False),
)

attendance = sa.Table(
    "attendance",
    metadata,
    sa.Column("attendance_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("agent", sa.Text, nullable=False, index=True),
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    sa.Column("ends_at", sa.BigInteger, nullable=False),
    sa.Column("counts", sa.Boolean, nullable=False),
)

schedule = sa.Table(
    "schedule",
    metadata,
    sa.Column("staffing_group", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# The shifts of an agent's week in a version; a version holds only the weeks that it changes.
agent_week = sa.Table(
    "agent_week",
    metadata,
    sa.Column("staffing_group", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("week", sa.Text, primary_key=True),
    sa.Column("shifts", sa.JSON, nullable=False),
)

# The decisions that have been seen, and the highest revision.
decision_seen = sa.Table(
    "decision_seen",
    metadata,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("carried_out", sa.Boolean, nullable=False),
)
