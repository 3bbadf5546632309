"""muster contract: how the promises stand, and from which intervals that is counted."""

import collections
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console

from muster.cli.connection import connect, console, number, shown, table_of
from muster.domain.calendar import local_date
from muster.v1 import requirement_pb2
from muster.v1 import staffing_service_pb2 as staffing

contract = typer.Typer(no_args_is_help=True, help="What clients were promised.")


@contract.callback()
def _group() -> None:
    """What clients were promised."""


@contract.command("attainment")
def attainment(
    client: Annotated[str, typer.Argument(metavar="[CLIENT]")] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="show the formula, the days and, with --intervals, all of it")
    ] = False,
    intervals: Annotated[bool, typer.Option("--intervals", help="with --explain: each interval")] = False,
) -> None:
    """Show how contracts' targets stand in their windows, each by its own definition and aggregation."""
    muster = connect()
    found = muster.staffing.ListAttainments(staffing.ListAttainmentsRequest(client=client)).attainments
    if not explain:
        _overview(found)
        return
    for a in found:
        _explain(a, list(_intervals(muster.staffing, a)), intervals)


def _value(a: requirement_pb2.Attainment) -> str:
    return _told(a, a.value) if a.HasField("value") else "not observed"


def _value_with_relieved(a: requirement_pb2.Attainment) -> str:
    return _told(a, a.value_with_relieved) if a.HasField("value_with_relieved") else "not observed"


def _told(a: requirement_pb2.Attainment, value: float) -> str:
    return f"{value:.1f} s" if a.metric == "ASA" and not a.aggregation.startswith("SHARE") else f"{value:.2%}"


def _promise(a: requirement_pb2.Attainment) -> str:
    return f"{a.target:g} s" if a.metric == "ASA" and not a.aggregation.startswith("SHARE") else f"{a.target * 100:g}%"


def _overview(found: Iterable[requirement_pb2.Attainment]) -> None:
    heads = (
        "contract",
        "target",
        "metric",
        "window",
        "to date",
        "promise",
        "good",
        "of",
        "intervals",
        "not observed",
        "excluded",
        "relieved",
    )
    table = table_of("Attainment", *heads, words=("metric", "window"))
    for a in found:
        table.add_row(
            a.contract,
            str(a.target_index),
            a.metric,
            a.window,
            _value(a),
            _promise(a),
            f"{a.good_count:,}",
            f"{a.base_count:,}",
            str(a.interval_count),
            str(a.unobserved_interval_count),
            str(a.excluded_interval_count),
            f"{a.relieved_interval_count}; {_value_with_relieved(a)} with" if a.relieved_interval_count else "0",
        )
    console().print(table)


@contract.command("outlook")
def contract_outlook(
    name: Annotated[str, typer.Argument(metavar="[CLIENT|CLIENT/CONTRACT]")] = "",
) -> None:
    """Show where windows will end: the chance that targets are kept, what may still miss, what one agent-hour more would do.

    A contract's are computed now, with the hours; others as they were computed last.
    """
    one = "/" in name
    request = staffing.ListWindowOutlooksRequest(contract=name if one else "", client="" if one else name)
    out, found = console(), connect().staffing.ListWindowOutlooks(request).outlooks
    if not found:
        out.print("no promise has days ahead that are forecast; a campaign is none: see muster requirement simulate")
        return
    heads = (
        "contract",
        "target",
        "window ends",
        "to date",
        "promise",
        "kept by",
        "ends at",
        "10 to 90 %",
        "may miss",
        "missed",
        "burn",
    )
    table = table_of("Where windows will end", *heads)
    for w in found:
        ends = f"{shown(w.window_ends_at.seconds, 'UTC')}"
        target = f"{w.metric} {w.aggregation.lower().replace('_', ' ')}"
        to_date = _number(w, w.value) if w.HasField("value") else "–"
        chance = f"{w.met_probability:.0%}" if w.HasField("met_probability") else "–"
        final = _number(w, w.expected_value) if w.HasField("expected_value") else "–"
        band = f"{_number(w, w.low_value)} to {_number(w, w.high_value)}" if w.HasField("low_value") else "–"
        budget = [f"{v:,.0f}" for v in (w.budget_allowed, w.budget_used)]
        burn = f"{w.burn:.2f}" if w.HasField("burn") else "–"
        table.add_row(w.contract, target, ends, to_date, _number(w, w.target), chance, final, band, *budget, burn)
    out.print(table)
    for w in found:
        days = f"{w.scheduled_day_count} of {w.day_count} days ahead by the published schedule, the others by the requirement"
        out.print(f"{w.contract}: {days}; computed at {shown(w.made_at.seconds, 'UTC')}", highlight=False)
        if one and w.hours_more:
            table = table_of("One agent-hour more on a day", "day", "best placed", "chance", "value")
            for h in w.hours_more:
                in_seconds = w.metric == "ASA" and not w.aggregation.startswith("SHARE")
                value = f"{h.value_gain:+.2f} s" if in_seconds else f"{100 * h.value_gain:+.3f} points"
                placed = f"{h.queue} {shown(h.starts_at.seconds, 'UTC')}"
                table.add_row(h.local_date, placed, f"{100 * h.met_gain:+.2f} points", value)
            out.print(table)


def _number(w: staffing.WindowOutlook, value: float) -> str:
    return f"{value:.1f} s" if w.metric == "ASA" and not w.aggregation.startswith("SHARE") else f"{value:.2%}"


def _intervals(service: object, a: requirement_pb2.Attainment) -> Iterable[staffing.TargetInterval]:
    request = staffing.ListTargetIntervalsRequest(contract=a.contract, target_index=a.target_index, page_size=10_000)
    while True:
        answer = service.ListTargetIntervals(request)  # type: ignore[attr-defined]
        yield from answer.intervals
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


FORMULAS = {
    "ANSWERED_OVER_OFFERED": "answered within T ÷ offered",
    "ANSWERED_OVER_ANSWERED": "answered within T ÷ answered",
    "LESS_SHORT_ABANDONS": "answered within T ÷ (offered − short abandons)",
    "ABANDONED_IN_TIME_COUNT": "(answered within T + abandoned within T) ÷ offered",
}
QUOTIENTS = {
    "ASA": "milliseconds waited by the answered ÷ answered",
    "ABANDONMENT": "abandoned ÷ offered",
    "DEADLINE_MET": "done by its deadline ÷ received",
}
AGGREGATIONS = {
    "CONTACT_WEIGHTED": "sum of numerators ÷ sum of denominators",
    "MEAN_OF_INTERVALS": "mean of the intervals' quotients, those without a denominator left out",
    "SHARE_OF_INTERVALS": "share of intervals whose quotient reaches {each:g}",
    "SHARE_OF_DAYS": "share of days whose quotient reaches {each:g}",
}


def _explain(a: requirement_pb2.Attainment, rows: list[staffing.TargetInterval], each_interval: bool) -> None:
    out = console()
    formula = FORMULAS.get(a.definition, QUOTIENTS.get(a.metric, a.metric))
    threshold = f", T = {a.threshold_seconds:g} s" if a.HasField("threshold_seconds") else ""
    if a.HasField("due_through"):
        threshold = f", due {a.threshold_business or f'after {a.threshold_seconds:g} s'}"
        threshold += f"; counted is what came before {shown(a.due_through.seconds, a.zone)}: all of it is due by now"
    out.print(f"{a.contract}, target {a.target_index}: {a.metric} {_promise(a)} a {a.window}, in {a.zone}", style="bold")
    out.print(f"  each interval: {formula}{threshold}", highlight=False)
    out.print(f"  the window: {AGGREGATIONS.get(a.aggregation, a.aggregation).format(each=a.each_target)}", highlight=False)
    sums: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0, 0, 0])
    for r in rows:
        key = shown(r.starts_at.seconds, a.zone) if each_interval else f"{local_date(r.starts_at.seconds, a.zone):%a %Y-%m-%d}"
        day = sums[f"{key}  {r.queue}"]
        if r.excluded or r.relieved:
            day[3 if r.excluded else 4] += 1
        elif not r.HasField("base_count"):
            day[2] += 1
        else:
            day[0] += r.good_count
            day[1] += r.base_count
    heads = ("numerator", "denominator", "quotient", "not observed", "excluded", "relieved")
    table = table_of("", "interval" if each_interval else "day", *heads)
    for key, (good, base, *left) in sorted(sums.items(), key=lambda item: item[0][4:]):
        table.add_row(key, f"{good:,}", f"{base:,}", _quotient(a, good, base), *(number(n > 0, n) for n in left))
    out.print(table)
    left_out = (
        f"{a.unobserved_interval_count} of {a.interval_count} intervals not observed, {a.excluded_interval_count} excluded"
    )
    out.print(
        f"  {a.good_count:,} ÷ {a.base_count:,}; to date {_value(a)}, promised {_promise(a)}; {left_out}", highlight=False
    )
    _explain_relief(a, [r for r in rows if r.relieved], out)
    if a.unsure_count:
        most = (a.good_count + a.unsure_count) / a.base_count
        out.print(
            f"  {a.unsure_count:,} were done so close to their deadline that intervals can't say on which side; they count as late "
            f"(all in time: {most:.2%})",
            highlight=False,
        )


def _quotient(a: requirement_pb2.Attainment, good: int, base: int) -> str:
    return "–" if not base else f"{good / base / 1000:.1f} s" if a.metric == "ASA" else f"{good / base:.2%}"


def _explain_relief(a: requirement_pb2.Attainment, relieved: list[staffing.TargetInterval], out: Console) -> None:
    """Show what the contract's lock leaves out: each interval, what came, what was locked, and the attainment with them."""
    if not relieved:
        return
    heads = ("interval", "queue", "came", "locked", "above", "numerator", "denominator", "quotient")
    table = table_of("Relieved: more came than the contract's lock tolerates", *heads)
    for r in relieved:
        came, locked = r.offered_count, r.locked_count
        above = f"{came / locked - 1:+.1%}" if locked > 0 else "–"
        seen = r.HasField("base_count")
        sides = (
            (f"{r.good_count:,}", f"{r.base_count:,}", _quotient(a, r.good_count, r.base_count)) if seen else ("–", "–", "–")
        )
        table.add_row(shown(r.starts_at.seconds, a.zone), r.queue, f"{came:,}", f"{locked:,.1f}", above, *sides)
    out.print(table)
    both = f"{_value(a)} without them, {_value_with_relieved(a)} with them"
    sums = f"{a.good_with_relieved_count:,} ÷ {a.base_with_relieved_count:,}"
    told = f"left out as relieved: {a.relieved_interval_count}; to date {both} ({sums})"
    out.print(f"  {told}; whose forecast was locked, and when: muster forecast compare", highlight=False)
