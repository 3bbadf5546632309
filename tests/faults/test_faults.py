"""Facts are told while everything breaks, in a seeded random order: afterwards each interval, requirement and decision stands
as the ledger says, once.

MUSTER_TEST_FAULTS=full runs them at full size (`make test-faults`); MUSTER_TEST_FAULTS=SEED at full size with another seed.
"""

import os
import pathlib
import random
import time

import pytest

from tests.support.fault_checks import check_attainment, check_nothing_stuck, check_volume
from tests.support.fault_world import DOUBLE, SINGLE, FaultWorld, fault_world, pieces, shuffled
from tests.support.ledger import HOUR, INTERVAL, messages, write_ledger
from tests.support.small_world import QUEUES

ASKED = os.environ.get("MUSTER_TEST_FAULTS", "")
FULL = bool(ASKED)
SEED = int(ASKED) if ASKED.isdigit() else 20261126
CONTACTS = 200_000 if FULL else 12_000
KILLS = 20 if FULL else 1
SESSION_SECONDS = 6.0


def hurt(world: FaultWorld, luck: random.Random, fault: tuple[str, str]) -> None:
    """Do one fault."""
    kind, target = fault
    print(f"{time.strftime('%H:%M:%S')} {kind} {target}", flush=True)
    time.sleep(luck.uniform(0.0, 0.3))
    if kind == "kill":
        world.kill(target)
    elif kind == "freeze":
        world.freeze(target, SESSION_SECONDS + luck.uniform(1.5, 4.0))
    elif kind == "broker":
        if target == "pause":
            world.pause_broker(luck.uniform(15.0, 60.0) if FULL else 3.0)
        else:
            world.restart_broker(kill=target == "kill")
    elif kind == "database":
        world.restart_database(kill=target == "kill")
    else:
        proxy = world.proxy if kind == "connections" else world.kafka_proxy
        world.disturb(proxy, target, luck.uniform(2.0, 14.0) if FULL else 1.5)


def faults_for(database: str, services: tuple[str, ...]) -> list[tuple[str, str]]:
    faults = [("kill", service) for service in services for _ in range(KILLS)]
    if FULL:
        faults += [("freeze", service) for service in services for _ in range(2)]
        faults += [("broker", how) for how in ("pause", "restart", "kill", "pause")]
    else:
        faults += [("freeze", "forecaster"), ("broker", "restart")]
    faults += [("kafka's connections", how) for how in ("cut", "delay", "silence")] * (3 if FULL else 1)
    if database == "postgresql":
        faults += [("database", how) for how in ("restart", "kill")]
        faults += [("connections", how) for how in ("cut", "delay", "silence")] * (2 if FULL else 1)
    return faults


@pytest.mark.parametrize(("database", "services"), [("sqlite", SINGLE), ("postgresql", DOUBLE)])
def test_lost_0_double_0(tmp_path: pathlib.Path, database: str, services: tuple[str, ...]) -> None:
    luck = random.Random(SEED)
    now = int(time.time())
    ledger = write_ledger(luck, QUEUES, CONTACTS, now)
    faults = shuffled(luck, faults_for(database, services))
    begin, through = now - 71 * HOUR, now - now % INTERVAL
    with fault_world(tmp_path, database, services) as world:
        world.complete(through - 4 * HOUR)  # from here on most facts are late, and closed intervals are told again
        began = time.monotonic()
        for fault, piece in zip(faults, pieces(list(messages(ledger, luck)), len(faults)), strict=True):
            world.tell(piece)
            hurt(world, luck, fault)
        world.producer.flush(240)
        world.complete(through)
        world.producer.flush(60)
        check_volume(world, ledger, begin, now + INTERVAL)
        check_attainment(world, ledger, through)
        check_nothing_stuck(world)
        seconds = time.monotonic() - began
    back = sorted(world.back)
    p95 = back[min(len(back) - 1, round(0.95 * len(back)))]
    print(
        f"{database}, seed {SEED}: {ledger.contacts:,} contacts in {len(ledger.told):,} messages, {len(faults)} faults in"
        f" {seconds:.0f} s: lost 0, double 0; back after a kill in {back[len(back) // 2]:.1f} s (median), {p95:.1f} s (p95)"
    )
