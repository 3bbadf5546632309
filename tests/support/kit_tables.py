"""The tables that every service has, and nothing else."""

import sqlalchemy as sa

from muster.kit.sql import add_kit_tables

metadata = sa.MetaData()
add_kit_tables(metadata)
