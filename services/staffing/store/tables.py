"""Staffing's tables."""

import sqlalchemy as sa

from muster.book.copy import add_book_tables
from muster.kit.sql import add_kit_tables

metadata = sa.MetaData()
add_kit_tables(metadata)
add_book_tables(metadata)

# Days as published, merged interval by interval.
forecast_day = sa.Table(
    "forecast_day",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

requirement_day = sa.Table(
    "requirement_day",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("forecast_version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# What intervals became, the newest revision.
volume_cell = sa.Table(
    "volume_cell",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("offered", sa.BigInteger),
    sa.Column("abandoned", sa.BigInteger),
    sa.Column("short_abandoned", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("wait_ms", sa.BigInteger),
    # Contacts of the forecast that the contract locked.
    sa.Column("locked", sa.Float),
    sa.Column("complete_through", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# What each interval adds to each target; None: not observed. Relieved: the contract's lock leaves it out.
target_cell = sa.Table(
    "target_cell",
    metadata,
    sa.Column("contract", sa.Text, primary_key=True),
    sa.Column("target_index", sa.Integer, primary_key=True),
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("good", sa.BigInteger),
    sa.Column("base", sa.BigInteger),
    sa.Column("unsure", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("relieved", sa.Boolean, nullable=False, server_default=sa.false()),
)

# Where each target's window will end, as last computed.
window_outlook = sa.Table(
    "window_outlook",
    metadata,
    sa.Column("contract", sa.Text, primary_key=True),
    sa.Column("target_index", sa.Integer, primary_key=True),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

floor_agent = sa.Table(
    "floor_agent",
    metadata,
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("queues", sa.JSON, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("observed_at", sa.BigInteger, nullable=False),
)

floor_queue = sa.Table(
    "floor_queue",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("on_queue", sa.Integer),
    sa.Column("logged_in", sa.Integer),
    sa.Column("observed_at", sa.BigInteger, nullable=False),
)

attendance = sa.Table(
    "attendance",
    metadata,
    sa.Column("attendance_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("agent", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    sa.Column("ends_at", sa.BigInteger),
    sa.Column("retracted", sa.Boolean, nullable=False),
)

# Parts of schedule versions that have come; applied once all of a manifest have.
schedule_part = sa.Table(
    "schedule_part",
    metadata,
    sa.Column("staffing_group", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("week", sa.Text, primary_key=True),
    sa.Column("shifts", sa.JSON, nullable=False),
)

schedule_manifest = sa.Table(
    "schedule_manifest",
    metadata,
    sa.Column("staffing_group", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("decision_ids", sa.JSON, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("applied", sa.Boolean, nullable=False),
)

# The schedule in force, shift by shift.
shift = sa.Table(
    "shift",
    metadata,
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("staffing_group", sa.Text, nullable=False, index=True),
    sa.Column("week", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("ends_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("segments", sa.JSON, nullable=False),
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("staffing_group", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("decide_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("effective_until", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# Answers that came with a request id: same id, same answer.
response = sa.Table(
    "response",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("decision_id", sa.Text, nullable=False),
)
