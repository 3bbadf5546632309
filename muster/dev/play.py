"""`make demo`: a BPO's day on a genuine Kafka and the three services, played in lock-step, with and without the decisions."""

import asyncio
import shutil
import sys
import time

from rich.console import Console

from muster.dev import end_card
from muster.dev.demo import WORLD, Demo, Options
from muster.dev.live import Screen
from muster.dev.supervisor import Supervisor, running

ENVIRONMENT = {
    "MUSTER_CLOCK": "CONDUCTED",
    "MUSTER_SQLITE_SYNCHRONOUS": "NORMAL",
}


def play(options: Options, console: Console) -> int:
    """Run the demo; return the exit code."""
    shutil.rmtree(options.home, ignore_errors=True)
    began = time.monotonic()
    screen = Screen(console)
    with running(options.home, WORLD, ENVIRONMENT) as (supervisor, addresses):
        screen.say(f"Kafka at {addresses.bootstrap}, world {WORLD!r}")
        for name in addresses.grpc:
            screen.say(f"{name}: gRPC {addresses.grpc[name]}, metrics http://{addresses.metrics[name]}/metrics")
        demo = Demo(options, addresses, screen)
        demo.began = began
        with screen.live():
            with_decisions, without = asyncio.run(demo.run())
        table = end_card.render(with_decisions, without, options.seed)
        end_card.show(console, table, end_card.verdict(with_decisions, without))
        _closing(console, demo, supervisor, options, began)
        if options.linger and sys.stdin.isatty():
            console.print("Muster stays up; Ctrl-C stops it.")
            while True:
                time.sleep(3600)
    return 0


def _closing(console: Console, demo: Demo, supervisor: Supervisor, options: Options, began: float) -> None:
    peaks = ", ".join(f"{name} {mb} MB" for name, mb in supervisor.peak_megabytes().items())
    first = demo.first_decision_seconds
    console.print(
        f"{len(demo.decisions)} decisions; the first {first or 0:.0f} s after the start; "
        f"{time.monotonic() - began:.0f} s in all; peak memory: {peaks}; restarts: {supervisor.restarts}",
        highlight=False,
    )
    console.print(
        "Next:  make dev   then  .venv/bin/muster apply BOOK.yaml,  muster import FILE,  muster schedule solve --weeks 2"
    )
    console.print(f"Logs and data: {options.home}", highlight=False)
