"""What requirements cost: Erlang C and A, fewest agents for 80/20 on a mix of 0.05 to 500 Erlangs, beside pyworkforce where it is installed.

python -m bench.staffing: CPU time, side by side in one run; a day as it moves, and one warm call.
"""

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from services.staffing.domain.erlang import SL_OFFERED, Floats, Load, fewest_agents_for
from services.staffing.domain.transient import Day, fewest_day

COUNT, PEERS = 20_000, 200
HANDLE, THRESHOLD, TARGET, PATIENCE = 300.0, 20.0, 0.8, 120.0


def microseconds(work: Callable[[], Any], count: int) -> float:
    """Return CPU time a piece, after one run to warm up."""
    work()
    began = time.process_time()
    work()
    return 1e6 * (time.process_time() - began) / count


def load_of(erlangs: Floats, patience: float) -> Load:
    return Load(erlangs / HANDLE, np.full(erlangs.size, HANDLE), np.full(erlangs.size, patience))


def main() -> None:
    luck = np.random.default_rng(1)
    erlangs = np.exp(luck.uniform(np.log(0.05), np.log(500), COUNT))
    spent = {}
    for name, patience, goal in (("C", np.inf, 0.5), ("A", PATIENCE, 5.0)):
        load = load_of(erlangs, patience)
        spent[name] = microseconds(lambda load=load: fewest_agents_for(SL_OFFERED, TARGET, load, THRESHOLD, 0.0), COUNT)  # type: ignore[misc]
        print(f"Erlang {name} requirement: {spent[name]:.2f} µs each (goal {goal})")
    queues = load_of(np.exp(luck.uniform(np.log(0.05), np.log(500), 500 * 96)), PATIENCE)
    began = time.process_time()
    fewest_agents_for(SL_OFFERED, TARGET, queues, THRESHOLD, 0.0)
    print(f"500 queues × 96 intervals: {time.process_time() - began:.2f} s CPU (goal 0.5)")
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
