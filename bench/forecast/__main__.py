"""The engine against its peers on real data, as one table, and three real days as a picture.

MUSTER_REFEREE=FOLDER python -m bench.forecast [PICTURE.png]: FOLDER holds `data/` and `referee/`. Needs pandas, and matplotlib for
the picture; they are no part of Muster. Everything is forecast from what was known at each origin.
"""

import os
import pathlib
import resource
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from bench.forecast import after, cold, paying, peers
from bench.forecast.plug import forecast, panel_of, without_incidents
from services.forecaster.domain.engine.drift import learn_drift
from services.forecaster.domain.engine.handle_time import learn_handle_time
from services.forecaster.domain.engine.intraday import rest_of_day
from services.forecaster.domain.engine.mean import expected_contacts
from services.forecaster.domain.engine.panel import Panel
from services.forecaster.domain.engine.spread import learn_spread, quantiles_of, work_quantiles_of
from services.forecaster.domain.engine.workload import handling

GOALS = {
    "vanad_dev": ("17.4 19.0 20.2", "10.0 10.7 12.0", 15.1, 20.5),
    "nabank": ("5.0 5.8 5.9", "3.0 3.4 3.4", 4.35, 10.0),
    "ilbank": ("24.6 23.5 23.5", "15.0 13.7 13.7", 21.4, None),
}
FIRST_WEEK = {"vanad_dev": 8, "nabank": 12, "ilbank": 12}
CUTS = range(1, 24)
SHOWN_CUTS = (9, 10, 11, 12, 13, 14, 15, 16)
DRIFT_DAYS = 40


def referee() -> Any:
    """Return the judge's modules from the folder that MUSTER_REFEREE names."""
    root = pathlib.Path(os.environ.get("MUSTER_REFEREE") or "not-set")
    if not (root / "referee").is_dir():
        raise SystemExit("MUSTER_REFEREE must name the folder that holds data/ and referee/")
    os.environ.setdefault("MUSTER_REAL_DATA", str(root / "data"))
    sys.path[:0] = [str(root / "referee" / "forecast"), str(root / "referee")]
    import judge
    import tasks

    return judge, tasks


def _three(rows: dict[str, dict[str, float]], name: str) -> str:
    return " ".join(f"{rows[h][name]:.1f}" for h in ("1d", "7d", "28d"))


def volume(judge: Any, task: Any) -> None:
    """Print WAPE of normal days, 1 · 7 · 28 days ahead, and of the bands, beside the default of vendors."""
    goal, wql, _, _ = GOALS[task.name]
    for name, method, first in (
        ("8-week mean", judge.mean_of_weeks(8), FIRST_WEEK[task.name]),
        *([("MSTL + AutoETS", peers.mstl, FIRST_WEEK[task.name])] if peers.INSTALLED else []),
        ("engine", forecast, FIRST_WEEK[task.name]),
        ("engine, bands", forecast, 12),
    ):
        rows = {r["hor"]: r for r in judge.evaluate(task, name, method, 1, first)}
        if name == "engine, bands":
            print(
                f"  {name:16} WQL {_three(rows, 'WQL')} (goal {wql})   in 80 %: {_three(rows, 'cov80')}   in 95 %: {_three(rows, 'cov95')}"
            )
            apart = [
                f"{kind} {rows[key]['WAPE']:.1f}"
                for key, kind in (("post", "after a closure"), ("special", "holidays"))
                if key in rows
            ]
            print(f"  {'':16} {'; '.join(apart)} (goal after a closure {GOALS[task.name][3] or 'none'})")
        else:
            print(
                f"  {name:16} WAPE {_three(rows, 'WAPE')} (goal {goal})   of days {_three(rows, 'dayWAPE')}   bias {_three(rows, 'bias%')}"
            )


def intraday(judge: Any, task: Any) -> None:
    """Print the rest of the day's WAPE at each cut, with the morning's forecast and with today's intervals taken in."""
    actual, mornings, days, scored, places = task.Y(), [], [], [], []
    for day in range(8 * task.D, task.n_days):  # from the twelfth week on they are scored, as in the judge's tables
        if task.special[day] == 0 and not np.isnan(actual[:, day]).all():
            mornings.append(expected_contacts(panel_of(judge.masked(task, day), day, 1))[:, 0])
            days.append(actual[:, day])
            scored.append(day >= 12 * task.D)
            places.append(day)
    mean, came = np.array(mornings), np.array(days)
    drifts = {}
    for n in np.flatnonzero(scored).tolist():
        usual = without_incidents(judge, task, places[n])[:, places[max(0, n - DRIFT_DAYS) : n]].swapaxes(0, 1)
        drifts[n] = learn_drift(mean[max(0, n - DRIFT_DAYS) : n], usual)
    shown, worse = [], []
    for hour in CUTS:
        cut = hour * 3600 // task.secs - task.start_slot
        if not 0 < cut < task.S:
            continue
        plain = with_today = total = 0.0
        for n in np.flatnonzero(scored):
            seen = came[n].copy()
            seen[:, cut:] = np.nan
            updated = mean[n] * rest_of_day(mean[n], seen, drifts[n])[0]
            plain += np.nansum(abs(came[n] - mean[n])[:, cut:])
            with_today += np.nansum(abs(came[n] - updated)[:, cut:])
            total += np.nansum(came[n][:, cut:])
        told = f"{hour}:00 {100 * plain / total:.1f} → {100 * with_today / total:.1f}"
        if hour in SHOWN_CUTS:
            shown.append(told)
        if with_today > plain:
            worse.append(f"{told} (by {100 * (with_today - plain) / total:.2f})")
    print(f"  {'rest of the day':16} {'   '.join(shown)} (goal at 11:00 {GOALS[task.name][2]}), {sum(scored)} days")
    print(f"  {'':16} worse than no update at {', '.join(worse) or 'no hour'}")


def handle_time(judge: Any, tasks: Any, task: Any) -> None:
    """Print errors of AHT (weighted by handled contacts) and workload, days 1–7, and how often workload's bands hold."""
    if task.aht is None:
        return
    aht, handled = task.aht.reshape(task.N, -1, task.S), task.handled.reshape(task.N, -1, task.S)
    weekdays, actual = (task.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7, task.Y()
    wrong, total, inside = np.zeros(3), np.zeros(3), np.zeros((2, 3))
    for origin in tasks.origins(
        task, 8, 1, 1
    ):  # each day from the eighth week on: thirteen of them differ by half a point by luck
        mean = expected_contacts(panel_of(judge.masked(task, origin), origin, task.D))
        normal = (task.special[:origin] == 0)[:, None]
        ago = (task.dates[origin] - task.dates[:origin]).astype("timedelta64[D]").astype(int) / 7
        told = np.where(normal & ~np.isnan(aht[:, :origin]), handled[:, :origin], np.nan)
        spent = told * aht[:, :origin]
        all_learnt = [learn_handle_time(told[n], spent[n], weekdays[:origin], ago) for n in range(task.N)]
        if calibrated := origin in tasks.origins(task, 12):
            panel = panel_of(judge.masked(task, origin), origin, task.D)
            spread = learn_spread(panel, handling(told, spent, weekdays[:origin], all_learnt))
            work = work_quantiles_of(mean, spread)[0]
        for n, learnt in enumerate(all_learnt):
            for h in np.flatnonzero(task.special[origin : origin + task.D] == 0) if learnt else ():
                expected = learnt.seconds[weekdays[origin + h]]
                if calibrated:
                    real = np.where(actual[n, origin + h] == 0, 0, actual[n, origin + h] * aht[n, origin + h])
                    band = work[n, h] * expected[:, None]
                    held = [(band[:, a] <= real) & (real <= band[:, 6 - a]) for a in (1, 0)]
                    sums = np.array([(~np.isnan(real)).sum(), *(x.sum() for x in held)])
                    inside[1] += sums
                    inside[0] += sums * (h == 0)
                weight = np.where(np.isnan(aht[n, origin + h]), 0, handled[n, origin + h])
                seconds = np.nan_to_num(aht[n, origin + h])
                load = np.nan_to_num(actual[n, origin + h]) * seconds
                wrong += (
                    (weight * abs(seconds - expected)).sum(),
                    abs((weight * (seconds - expected)).sum()),
                    (abs(load - mean[n, h] * expected) * (weight > 0)).sum(),
                )
                total += ((weight * seconds).sum(), (weight * seconds).sum(), load.sum())
    parts = " · ".join(f"{e:.1f}" for e in 100 * wrong / total)
    print(f"  {'AHT, workload':16} interval · day · workload {parts} (goal 10.0 · 5.3 · 21.0)")
    shown = (" · ".join(f"{100 * i[k] / i[0]:.1f}" for i in inside) for k in (1, 2))
    print(f"  {'':16} workload, 1 · 7 days ahead: in 80 %: {next(shown)}   in 95 %: {next(shown)}")


def speed(series: int = 10_000, chunk: int = 250) -> None:
    """Print what 8 weeks × 48 slots of many series cost: fit, bands, 14 days; and one closed interval of all of them."""
    luck = np.random.default_rng(1)
    dates = np.datetime64("2026-01-05") + np.arange(56 + 14)
    weekday = np.array([1.2, 1, 1, 1, 0.9, 0.5, 0.4])[np.arange(56) % 7][None, :, None]
    slot = 1 + np.sin(np.arange(48) / 48 * 2 * np.pi)[None, None]
    spent = 0.0
    for _ in range(0, series, chunk):
        mean = np.exp(luck.normal(3, 1.5, chunk))[:, None, None] * weekday * slot
        offered = luck.poisson(mean * luck.gamma(50, 1 / 50, (chunk, 56, 1))).astype(float)
        began = time.process_time()
        panel = Panel(offered, dates, np.zeros((chunk, 70), np.int64))
        quantiles_of(expected_contacts(panel), learn_spread(panel))
        spent += time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{series:,} series: {spent:.1f} CPU-seconds (goal 60 s on two cores), peak {peak} MB")
    live, seen = np.full((series, 48), 20.0), np.full((series, 48), np.nan)
    seen[:, :24] = luck.poisson(20.0, (series, 24))
    began = time.process_time()
    rest_of_day(live, seen, learn_drift(live[:0, None], live[:0, None]))
    print(
        f"an interval closed in each of {series:,} live series: {1000 * (time.process_time() - began):.0f} ms CPU (goal 50 ms)"
    )


def picture(judge: Any, tasks: Any, path: pathlib.Path) -> None:
    """Draw three real days: forecast with its 80 and 95 % bands against what came."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4), constrained_layout=True)
    for axis, name in zip(axes, GOALS, strict=True):
        task = tasks.load(name)
        day = next(d for d in range(task.n_days - 5, 0, -1) if task.special[d] == 0)
        answer = forecast(judge.masked(task, day), day, 1)
        hours = (np.arange(task.S) + task.start_slot) * task.secs / 3600
        wide = answer["q"][0]
        axis.fill_between(hours, wide[:, 0], wide[:, 6], alpha=0.2, label="95 %")
        axis.fill_between(hours, wide[:, 1], wide[:, 5], alpha=0.3, label="80 %")
        axis.plot(hours, answer["mean"][0], label="expected")
        axis.plot(hours, task.Y()[0, day], "k.", label="came")
        axis.set(title=f"{task.queues[0]} of {name}, {task.dates[day]}", xlabel="hour", ylabel="contacts an interval")
    axes[0].legend()
    figure.savefig(path, dpi=90)
    print(f"picture: {path}")


def main() -> None:
    judge, tasks = referee()
    for name in GOALS:
        task = tasks.load(name)
        print(f"{name}: {task.N} series, {task.n_days} open days; 1 · 7 · 28 days ahead")
        volume(judge, task)
        paying.four_weeks(judge, tasks, task, FIRST_WEEK[name])
        paying.each_queue(judge, tasks, task)
        paying.after_closures(judge, task)
        intraday(judge, task)
        after.days_after(judge, task)
        handle_time(judge, tasks, task)
        cold.eight_weeks(task)
    speed()
    peers.cost()
    if len(sys.argv) > 1:
        picture(judge, tasks, pathlib.Path(sys.argv[1]))


if __name__ == "__main__":
    main()
