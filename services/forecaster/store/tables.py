"""The forecaster's tables."""

import sqlalchemy as sa

from muster.book.copy import add_book_tables
from muster.kit.sql import add_kit_tables

metadata = sa.MetaData()
add_kit_tables(metadata)
add_book_tables(metadata)

# What each feed says of a span, from contacts or from reports: packed by domain.tally. `stamp` differs with each write.
cell = sa.Table(
    "volume_cell",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("official", sa.Boolean, primary_key=True),
    sa.Column("from_report", sa.Boolean, primary_key=True),
    sa.Column("seconds", sa.Integer, primary_key=True),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    # Of contacts older than the lateness horizon: what their additions were compacted to.
    sa.Column("marks", sa.LargeBinary),
    sqlite_with_rowid=False,
)

# What contacts added to a span, by the minute in which it became known; until the lateness horizon.
delta = sa.Table(
    "volume_delta",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("official", sa.Boolean, primary_key=True),
    sa.Column("seconds", sa.Integer, primary_key=True),
    sa.Column("minute", sa.BigInteger, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Contacts within the lateness horizon, by hashed id: chunks of rows packed by domain.contacts; a later chunk wins.
chunk = sa.Table(
    "contact_chunk",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("official", sa.Boolean, primary_key=True),
    sa.Column("seconds", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Up to when a client's volume is locked: reports are refused, corrections are adjustments.
period_lock = sa.Table(
    "period_lock",
    metadata,
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("through", sa.BigInteger, nullable=False),
    sa.Column("locked_at", sa.BigInteger, nullable=False),
    sa.Column("locked_by", sa.Text, nullable=False),
)

adjustment = sa.Table(
    "volume_adjustment",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("adjustment_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("offered", sa.BigInteger),
    sa.Column("answered", sa.BigInteger),
    sa.Column("abandoned", sa.BigInteger),
    sa.Column("handle_ms", sa.BigInteger),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("adjusted_by", sa.Text, nullable=False),
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

# Which revision of an interval has been published as closed, when first, and a digest of what was said.
closed_cell = sa.Table(
    "closed_cell",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.BigInteger, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("closed_at", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("offered", sa.BigInteger),
    sqlite_with_rowid=False,
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

# The newest forecast of each local day, merged interval by interval; the newest that was not an intraday update; and by what factor the
# run of the day on which that was fitted has moved it, if it has.
forecast_day = sa.Table(
    "forecast_day",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("morning", sa.JSON, nullable=False),
    sa.Column("moved", sa.Float),
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

# Contacts of past normal days, kept when their cells' half-year has passed: what a season is read from.
day_total = sa.Table(
    "day_total",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("offered", sa.Float, nullable=False),
)

# What the newest fit says beside the forecast: incidents, twelve months.
queue_outlook = sa.Table(
    "queue_outlook",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# How each past day's forecast did, as known the night after, for metrics.
day_score = sa.Table(
    "day_score",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("lead", sa.Integer, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

# The forecast that a contract locked for a day, kept when its first interval closed under the lock.
locked_day = sa.Table(
    "locked_day",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("locked_at", sa.BigInteger, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# Forecasts of clients, and agreed ones: each as received.
received_forecast = sa.Table(
    "received_forecast",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("local_date", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("sent_by", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    # Of what came in several messages: when each interval did.
    sa.Column("times", sa.JSON),
)
