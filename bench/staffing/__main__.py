"""What requirements cost: Erlang C and A, fewest agents for 80/20 on a mix of 0.05 to 500 Erlangs, beside pyworkforce where it is installed.

python -m bench.staffing: CPU time, side by side in one run; what is published of 500 queues' days, from forecast to answer, load carried over
and both numbers of agents with the service predicted; a day as it moves, and one warm call.
"""

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from services.staffing.domain.erlang import SL_OFFERED, Floats, Load, fewest_agents_for
from services.staffing.domain.facts import ForecastDay
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.domain.transient import Day, fewest_day
from services.staffing.handlers.requiring import QueueRules, on_forecast

COUNT, PEERS, QUEUES = 20_000, 200, 500
HANDLE, THRESHOLD, TARGET, PATIENCE = 300.0, 20.0, 0.8, 120.0


def microseconds(work: Callable[[], Any], count: int) -> float:
    """Return CPU time a piece, after one run to warm up."""
    work()
    began = time.process_time()
    work()
    return 1e6 * (time.process_time() - began) / count


def load_of(erlangs: Floats, patience: float) -> Load:
    return Load(erlangs / HANDLE, np.full(erlangs.size, HANDLE), np.full(erlangs.size, patience))


def forecast(erlangs: float, intervals: int, luck: np.random.Generator) -> ForecastDay:
    """Return a day of so many intervals of 15 minutes that rises and falls about a load."""
    volume = erlangs * 900 / HANDLE * (1 + np.sin(np.linspace(-1.5, 4.5, intervals))) * np.exp(luck.normal(0, 0.1, intervals))
    return ForecastDay(
        queue="acme/help",
        local_date="2026-06-01",
        seconds=900,
        starts=[900 * i for i in range(intervals)],
        versions=[1] * intervals,
        offered=volume.tolist(),
        high=(1.3 * volume + 1).tolist(),
        aht=[HANDLE] * intervals,
        watermark=0,
        version=1,
        whole=True,
    )


def publish(days: list[ForecastDay], patience: float) -> None:
    rules = QueueRules(Rules((Goal("SERVICE_LEVEL", TARGET, threshold=THRESHOLD),), 0, 0.1, 0.06), patience, "")
    for day in days:
        on_forecast([day], rules, 1, 0)


def main() -> None:
    luck = np.random.default_rng(1)
    erlangs = np.exp(luck.uniform(np.log(0.05), np.log(500), COUNT))
    spent = {}
    for name, patience, goal in (("C", np.inf, 0.5), ("A", PATIENCE, 5.0)):
        load = load_of(erlangs, patience)
        spent[name] = microseconds(lambda load=load: fewest_agents_for(SL_OFFERED, TARGET, load, THRESHOLD, 0.0), COUNT)  # type: ignore[misc]
        print(f"Erlang {name} requirement: {spent[name]:.2f} µs each (goal {goal})")
    days = [forecast(a, 96, luck) for a in np.exp(luck.uniform(np.log(0.05), np.log(500), QUEUES))]
    plain = load_of(np.exp(luck.uniform(np.log(0.05), np.log(500), QUEUES * 96)), PATIENCE)
    formula = microseconds(lambda: fewest_agents_for(SL_OFFERED, TARGET, plain, THRESHOLD, 0.0), 1)
    print(f"{QUEUES} queues × 96 intervals, formula: {formula / 1e6:.2f} s CPU (goal 0.5)")
    for name, patience in (("A", PATIENCE), ("C", np.inf)):
        published = microseconds(lambda patience=patience: publish(days, patience), 1)  # type: ignore[misc]
        print(f"{QUEUES} queues × 96 intervals as published, Erlang {name}: {published / 1e6:.2f} s CPU (goal 0.5)")
    few = [forecast(20.0, 4, luck)]
    hour = microseconds(lambda: [publish(few, PATIENCE) for _ in range(1000)], 1000)
    print(f"one queue's hour as published: {hour:.0f} µs")
    one = load_of(np.array([20.0]), PATIENCE)
    single = microseconds(lambda: [fewest_agents_for(SL_OFFERED, TARGET, one, THRESHOLD, 0.0) for _ in range(1000)], 1000)
    print(f"one warm call: {single:.1f} µs (goal 20)")
    volume = 200 * (1 + np.sin(np.linspace(-1.5, 4.5, 48)))
    moving = microseconds(lambda: fewest_day(Day(volume, 900.0, HANDLE, PATIENCE, THRESHOLD), TARGET), 1)
    print(f"a day of 48 intervals as it moves, fewest agents both ways: {moving / 1e6:.2f} s")
    if importlib.util.find_spec("pyworkforce") is None:
        print("pyworkforce is not installed: no ratio")
        return
    from pyworkforce.queuing import ErlangC

    def peer() -> None:
        for a in erlangs[:PEERS]:
            model = ErlangC(transactions=a, aht=HANDLE / 60, asa=THRESHOLD / 60, interval=HANDLE / 60, shrinkage=0.0)
            model.required_positions(service_level=TARGET, max_occupancy=1.0)

    theirs = microseconds(peer, PEERS)
    print(f"pyworkforce, Erlang C, {PEERS} of them: {theirs:,.0f} µs each, {theirs / spent['C']:,.0f} times (goal 400)")


if __name__ == "__main__":
    main()
