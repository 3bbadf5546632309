"""The forecaster's tables."""

import sqlalchemy as sa

from muster.book.copy import add_book_tables
from muster.kit.sql import add_kit_tables

metadata = sa.MetaData()
add_kit_tables(metadata)
add_book_tables(metadata)

# What each feed says of a span, from contacts or from reports (the newest revision).
report = sa.Table(
    "volume_report",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("official", sa.Boolean, primary_key=True),
    sa.Column("from_report", sa.Boolean, primary_key=True),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("tally", sa.JSON, nullable=False),
)

# Contacts within the lateness horizon, by hashed id.
contact = sa.Table(
    "contact",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("arrived_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("wait_ms", sa.BigInteger),
    sa.Column("handle_ms", sa.BigInteger),
)

feed_progress = sa.Table(
    "feed_progress",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("complete_through", sa.BigInteger),
    sa.Column("newest_fact_at", sa.BigInteger),
    # Since when it has spoken of the queue: a feed vouches for no zero before.
    sa.Column("first_told_at", sa.BigInteger),
)

# Up to when a queue's intervals are closed.
closed = sa.Table(
    "closed",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("through", sa.BigInteger, nullable=False),
)

# How often an interval has been published as closed.
closed_cell = sa.Table(
    "closed_cell",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("tally", sa.JSON, nullable=False),
)

# Facts about queues that aren't declared yet.
parked = sa.Table(
    "parked",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("client", sa.Text, nullable=False, index=True),
    sa.Column("queue", sa.Text, nullable=False, index=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("headers_json", sa.Boolean, nullable=False),
)

# The newest forecast of each local day, merged interval by interval; and the newest that was not an intraday update.
forecast_day = sa.Table(
    "forecast_day",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("morning", sa.JSON, nullable=False),
)

# Every forecast ever published, as published.
forecast_version = sa.Table(
    "forecast_version",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("data_watermark", sa.BigInteger, nullable=False),
    sa.Column("message", sa.LargeBinary, nullable=False),
)
