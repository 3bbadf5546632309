"""The requirement engine behind the interface of the staffing judge: answer(row of an Erlang table) → its numbers."""

import json
import os
import pathlib
import sys
from typing import Any

import numpy as np

from muster.domain.calendar import DAY
from services.staffing.domain import erlang
from services.staffing.domain.carried import Carried, carry
from services.staffing.domain.requirement import Goal, fewest_agents, predict
from services.staffing.domain.transient import BLOCK, LEAVE, Day, fewest_day, predict_day

KINDS = {"asa": erlang.BY_ASA, "p_ab": erlang.BY_ABANDONED, "p_wait": erlang.BY_WAITS, "occ": erlang.BY_OCCUPANCY}
DEFINITIONS = {
    "": erlang.SL_OFFERED,
    "sl_offered": erlang.SL_OFFERED,
    "sl_answered": erlang.SL_ANSWERED,
    "sl_excl_short": erlang.SL_EXCLUDED,
    "sl_all": erlang.SL_ALL,
    "sl_virtual": erlang.SL_VIRTUAL,
}


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """Answer the judge."""
    a, n, handle = row["erlangs"], row["n"], row["aht_s"] or 1.0
    threshold, patience = row["T_s"] or 0.0, row["patience_s"] or np.inf
    if row["model"] == "B":
        if row["category"] == "required":
            return {"required_n": erlang.fewest_lines(row["target"], a)}
        blocked = 1.0 / erlang.inverse_b(float(n), a)
        return {"p_block": blocked, "occ": a * (1.0 - blocked) / n if n else 0.0}
    out = np.zeros(erlang.NUMBERS)
    if row["category"] == "required":
        kind = DEFINITIONS[row["sl_def"]] if row["target_kind"] == "sl" else KINDS[row["target_kind"]]
        return {"required_n": erlang.fewest(kind, row["target"], a, handle, patience, threshold, threshold, out)}
    if row["model"] == "C":
        if n <= a:
            return {"stable": False}
        erlang.erlang_c(float(n), a, handle, threshold, out)
        return {"p_wait": out[erlang.WAITS], "asa_s": out[erlang.ASA], "sl": out[erlang.WITHIN], "occ": a / n, "stable": True}
    erlang.erlang_a(float(n), a, handle, patience, threshold, threshold, erlang.DEEP, out)
    found = {name: erlang.measure(kind, out, float(n), a) for name, kind in DEFINITIONS.items() if name}
    return {
        **found,
        "p_wait": out[erlang.WAITS],
        "p_ab": out[erlang.ABANDONED],
        "asa_s": out[erlang.ASA],
        "ew_all_s": out[erlang.WAIT_OF_ALL],
        "occ": a * out[erlang.ANSWERED] / n,
        "stable": True,
    }


def _days(scenarios: list[dict[str, Any]], discipline: int, method: str) -> dict[str, Any]:
    answers = {}
    for s in scenarios:
        volume, size = np.array(s["volume"], float), len(s["volume"])
        seconds, handle, patience = s["interval_s"], s["aht_s"], s["patience_s"] or np.inf
        if method == "moving":
            day = Day(volume, seconds, handle, patience, s["T_s"], linear=True)
            required = fewest_day(day, s["sl_target"]).tolist()
            answers[s["id"]] = {"required": required, "predicted_sl": predict_day(day, required, discipline)}
            continue
        goal, each = Goal("SERVICE_LEVEL", s["sl_target"], threshold=s["T_s"]), np.full(size, float(handle))
        starts, around = np.arange(size) * seconds, size * seconds >= DAY
        load: erlang.Load | Carried = carry(volume, each, starts, seconds, patience, linear=True, around=around)
        if method == "formula":
            load = erlang.Load(volume / seconds, each, np.full(size, float(patience)))
        required = fewest_agents(load, goal)
        level = goal.value(predict(load, required, goal))
        answers[s["id"]] = {"required": required.tolist(), "predicted_sl": level.tolist()}
    return answers


def main() -> None:
    """python -m bench.staffing.plug SCENARIOS.json ANSWERS.json: DISCIPLINE (leave or block) is what the prediction is made for.

    METHOD: moving (the queue as it moves, the usual one), carried (the published requirement), formula (interval by interval).
    """
    scenarios, answers = map(pathlib.Path, sys.argv[1:3])
    discipline = BLOCK if os.environ.get("DISCIPLINE") == "block" else LEAVE
    answers.write_text(json.dumps(_days(json.loads(scenarios.read_text()), discipline, os.environ.get("METHOD", "moving"))))


if __name__ == "__main__":
    main()
