"""What earlier versions stored is carried over, and means the same."""

import json
import pathlib
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from muster.kit.sql import migrate
from services.forecaster.domain.contacts import Stage
from services.forecaster.domain.tally import FIXED_EDGES, Tally
from services.forecaster.handlers.volume import VolumeSlice, on_contacts
from services.forecaster.store import closing, volume
from services.forecaster.volume_wire import fingerprint

MIGRATIONS = pathlib.Path("services/forecaster/store/migrations")
T0 = 1_774_400_400
WAITS = (1, *(0 for _ in FIXED_EDGES))


def fill_as_the_first_version(engine: sa.Engine) -> None:
    """Make a forecaster's database of version 0001 in which a contact, a report and a closed interval are known."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        tally: dict[str, Any] = {
            "offered": 1,
            "answered": 1,
            "abandoned": 0,
            "overflowed": 0,
            "open": 0,
            "handled": 1,
            "handle_ms": 9000,
        }
        tally |= {"answered_wait_ms": 4000, "abandoned_wait_ms": 0, "edges": FIXED_EDGES, "answered_waits": WAITS}
        told = {"queue": "acme/help", "feed": "live", "official": False, "seconds": 1800, "revision": 1}
        insert = sa.text(
            "INSERT INTO volume_report (queue, starts_at, feed, official, from_report, seconds, revision, known_at, tally)"
            " VALUES (:queue, :starts_at, :feed, :official, :from_report, :seconds, :revision, :known_at, :tally)"
        )
        live = {**told, "starts_at": T0, "from_report": False, "known_at": T0 + 90, "tally": json.dumps(tally)}
        report = {**told, "starts_at": T0 + 1800, "from_report": True, "known_at": T0 + 4000, "tally": '{"offered": 7}'}
        connection.execute(insert, [live, report])
        digest = fingerprint("c1").to_bytes(7).hex() + "0" * 10
        contact = sa.text(
            "INSERT INTO contact (queue, feed, fingerprint, revision, arrived_at, stage, wait_ms, handle_ms)"
            " VALUES ('acme/help', 'live', :print, 3, :at, 'WRAPPED', 4000, 9000)"
        )
        connection.execute(contact, {"print": digest, "at": T0 + 60})
        closed = sa.text("INSERT INTO closed_cell (queue, starts_at, revision, tally) VALUES ('acme/help', :at, 2, :tally)")
        connection.execute(closed, {"at": T0, "tally": json.dumps(tally)})


def test_the_volume_of_the_first_version_is_carried_over(engine: sa.Engine) -> None:
    fill_as_the_first_version(engine)
    migrate(engine, MIGRATIONS)
    hot = volume.HotContacts()
    with engine.begin() as connection:
        live, report = volume.reports_between(connection, "acme/help", T0, T0 + 3600)
        assert (live.tally.offered, live.tally.handle_ms, report.tally, report.revision) == (1, 9000, Tally(offered=7), 1)
        said = closing.closed_cells(connection, "acme/help", [T0])[T0]
        assert (said.revision, said.digest) == (2, closing.digest(live.tally))
        (span, _) = volume.spans_between(connection, "acme/help", T0, T0 + 3600)
        assert span.known_by(T0 // 60 + 1) is None
        assert span.known_by(T0 // 60 + 2) is not None

        state = VolumeSlice("acme/help", 1800, FIXED_EDGES)
        volume.load_contacts(connection, state, [T0], hot)
        again = (T0 + 60, fingerprint("c1"), 2, Stage.ANSWERED, 4000, -1, -1, -1)
        fresh = (T0 + 60, fingerprint("c2"), 1, Stage.OFFERED, -1, -1, -1, -1)
        on_contacts(state, "live", False, [again, fresh], T0 + 120)
        volume.save_contacts(connection, state, hot)
        assert volume.reports_between(connection, "acme/help", T0, T0 + 1800)[0].tally.offered == 2
