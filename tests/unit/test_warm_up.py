"""What staffing computes within a transaction is compiled, or loaded, before the first one."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil
from numba.core.dispatcher import Dispatcher
import services.staffing.domain as domain
from services.staffing.app import warm_up
modules = [importlib.import_module(f"{domain.__name__}.{m.name}") for m in pkgutil.iter_modules(domain.__path__)]

def compiled():
    kernels = {id(k): k for m in modules for k in vars(m).values() if isinstance(k, Dispatcher)}
    return {f"{k.__module__}.{k.__name__} {signature}" for k in kernels.values() for signature in k.overloads}

warm_up()
before = compiled()
assert before

import dataclasses, math
from services.staffing.domain.requirement import Goal, Rules
from services.staffing.handlers.blending import calls_day, idle_days
from services.staffing.handlers.deferring import DeskDays, on_deferred
from services.staffing.handlers.requiring import QueueRules, on_forecast
from tests.unit.test_deferring import desk, mails

days = mails(300, 3)
goals = (Goal("SERVICE_LEVEL", 0.8, threshold=20.0), Goal("ASA", 30.0), Goal("ABANDONMENT", 0.05), Goal("OCCUPANCY_CAP", 0.85))
for patience in (math.inf, 120.0):
    for staff_to in ("MEAN", "EXPECTED", "CONFIDENT", "DAY"):
        rules = Rules(goals if staff_to == "MEAN" else goals[:1], 1, 0.05, 0.1, staff_to)
        calls = on_forecast(days[:1], QueueRules(rules, patience, "calls"), 1, 0)
    on_forecast(days[:1], QueueRules(Rules(goals, 1, 0.05, 0.1), patience, "chats", 3, (300.0, 360.0, 450.0)), 1, 0)
    beside = [calls_day(days[0], calls[0], QueueRules(Rules(goals, 1, 0.05, 0.1), patience, "calls"), 1.0, 0.02)]
    for one in ((), idle_days(beside, 480.0)):
        on_deferred(DeskDays(days, [(days[0].starts[0], 3)], desk(), 0.9, days[0].starts[20], one), Rules((), 0, 0.0, 0.0), 1)
print(*sorted(compiled() - before), sep="\\n")
"""


def test_no_requirement_waits_for_a_compiler() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [""]
