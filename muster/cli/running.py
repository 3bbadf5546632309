"""muster demo and muster dev: Muster on one machine."""

import pathlib
import signal
import sys
import time
from types import FrameType
from typing import Annotated

import typer

from muster.cli.connection import console
from muster.dev.demo import Options
from muster.dev.play import play
from muster.dev.supervisor import running


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def demo(
    seed: Annotated[int, typer.Option(help="the day's random numbers")] = 1,
    hours: Annotated[int, typer.Option(min=1, max=24, help="how much of the day is played")] = 24,
    home: Annotated[pathlib.Path, typer.Option(help="folder of its data and logs; made anew")] = pathlib.Path("var/demo"),
) -> None:
    """Watch a BPO's day: volume in, decisions out, with and without them."""
    signal.signal(signal.SIGTERM, _stop)
    raise typer.Exit(play(Options(home, seed, hours, linger=sys.stdout.isatty()), console()))


def dev(home: Annotated[pathlib.Path, typer.Option(help="folder that keeps its data")] = pathlib.Path("var/dev")) -> None:
    """Run Kafka and the three services until Ctrl-C, keeping their data."""
    signal.signal(signal.SIGTERM, _stop)
    out = console()
    try:
        with running(home, "", {}) as (supervisor, addresses):
            out.print(f"Kafka at {addresses.bootstrap}", highlight=False)
            for name in addresses.grpc:
                line = f"{name}: gRPC {addresses.grpc[name]}, metrics http://{addresses.metrics[name]}/metrics"
                out.print(f"{line}, log {home / name}.log", highlight=False, soft_wrap=True)
            out.print(
                "Next:  muster apply BOOK.yaml    muster import FILE …    muster schedule solve --weeks 2", highlight=False
            )
            out.print("Ctrl-C stops everything.", highlight=False)
            seen = 0
            while True:
                time.sleep(0.5)
                if supervisor.restarts > seen:
                    seen = supervisor.restarts
                    out.print(f"a service ended and was started anew ({seen} so far); see the logs", style="red")
    except KeyboardInterrupt:
        out.print("stopped; the data is kept in " + str(home), highlight=False)
