"""What a simulated contact costs: the compiled pools, and beside them the floor in plain Python with the very same callers.

python -m bench.simulator: CPU time in one process, compiling excluded, best of ROUNDS; a contact drawn, played, and as a ratio.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from muster.simulator.arrivals import Caller
from muster.simulator.floor import Duty, Floor, Habits
from muster.simulator.pools import BLOCK, Callers, Group, Plan, Queue, draw, play

SECONDS, INTERVALS, ROUNDS, CONTACTS = 1800, 24, 3, 300_000
HANDLE, PATIENCE, THRESHOLD, OCCUPANCY = 300.0, 120.0, 20.0, 0.92
GOAL = 2.0


def pool(agents: int) -> Plan:
    """Return one queue at a steady occupancy."""
    volume = np.full(INTERVALS, agents * OCCUPANCY * SECONDS / HANDLE)
    queue = Queue(volume, HANDLE, PATIENCE, THRESHOLD)
    return Plan((queue,), (Group(np.full(INTERVALS, agents), (0,)),), SECONDS)


def ring(queues: int, agents: int) -> Plan:
    """Return queues in a ring, each group serving two, more and fewer agents from interval to interval, pools that block."""
    one = pool(agents)
    crew = agents + np.arange(INTERVALS) % 3 - 1
    groups = tuple(Group(crew, (q, (q + 1) % queues)) for q in range(queues))
    return Plan(one.queues * queues, groups, SECONDS, BLOCK)


def least(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of the quickest of some runs, after one to compile and warm up."""
    work()
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def floor_seconds(agents: int, callers: Callers) -> float:
    """Return the CPU seconds that the floor takes for the first day of callers."""
    last, end = int(callers.days[1]), SECONDS * INTERVALS
    patience = callers.gives_up - callers.arrives
    one = [
        Caller(str(k), "a/b", float(callers.arrives[k]), float(patience[k]), float(callers.handle[k]), 0.0) for k in range(last)
    ]
    floor = Floor(one, {f"a{n}": "leeds" for n in range(agents)}, Habits(0.001, 0.001, 0.0), 1, 0)
    for agent in floor.agents:
        floor.set_duties(agent, [Duty(0, end, "a/b", "")])
    began = time.process_time()
    floor.advance(end)
    return time.process_time() - began


def main() -> None:
    plans = [(f"one queue, {n} agents", pool(n), n) for n in (10, 100, 1000)]
    plans += [(f"{q} queues in a ring, {q} groups of {n}", ring(q, n), 0) for q, n in ((2, 50), (4, 25), (8, 12))]
    print(f"{'':38} {'contacts':>9} {'drawn µs':>9} {'played µs':>9} {'floor µs':>9} {'ratio':>6}   (goal played {GOAL})")
    for name, plan, agents in plans:
        days = max(round(CONTACTS / sum(q.volume.sum() for q in plan.queues)), 1)
        callers = draw(plan.queues, SECONDS, days, np.random.default_rng(1))
        count = callers.arrives.size
        drawn = 1e6 * least(lambda p=plan, d=days: draw(p.queues, SECONDS, d, np.random.default_rng(1))) / count  # type: ignore[misc]
        played = 1e6 * least(lambda p=plan, c=callers: play(p, c)) / count  # type: ignore[misc]
        told = f"{name:38} {count:9,} {drawn:9.2f} {played:9.2f}"
        if agents:
            floor = 1e6 * floor_seconds(agents, callers) / int(callers.days[1])
            told += f" {floor:9.1f} {floor / played:6.0f}"
        print(told)


if __name__ == "__main__":
    main()
