"""The `muster` command as a planner types it, and what it prints."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def muster(home: pathlib.Path, *words: str, fails: bool = False) -> str:
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("MUSTER_")}, "MUSTER_HOME": str(home)}
    command = [sys.executable, "-m", "muster.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def rows_of(text: str, first: str) -> list[list[str]]:
    """Return the cells of a printed table's rows that begin with a word."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.count("│") > 2]
    return [row for row in rows if row[0].startswith(first)]
