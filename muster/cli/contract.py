"""muster contract: how the promises stand, and from which intervals that is counted."""

import collections
from collections.abc import Iterable
from typing import Annotated

import typer

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
    if not a.HasField("value"):
        return "not observed"
    return f"{a.value:.1f} s" if a.metric == "ASA" and not a.aggregation.startswith("SHARE") else f"{a.value:.2%}"


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
    )
    table = table_of("Attainment", *heads)
    for a in found:
        table.add_row(
            a.contract,
            str(a.target_index),
            a.metric,
            a.window,
            _value(a),
            f"{a.target:g}",
            f"{a.good_count:,}",
            f"{a.base_count:,}",
            str(a.interval_count),
            str(a.unobserved_interval_count),
            str(a.excluded_interval_count),
        )
    console().print(table)


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
QUOTIENTS = {"ASA": "milliseconds waited by the answered ÷ answered", "ABANDONMENT": "abandoned ÷ offered"}
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
    out.print(f"{a.contract}, target {a.target_index}: {a.metric} {a.target:g} a {a.window}, in {a.zone}", style="bold")
    out.print(f"  each interval: {formula}{threshold}", highlight=False)
    out.print(f"  the window: {AGGREGATIONS.get(a.aggregation, a.aggregation).format(each=a.each_target)}", highlight=False)
    sums: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0, 0])
    for r in rows:
        key = shown(r.starts_at.seconds, a.zone) if each_interval else f"{local_date(r.starts_at.seconds, a.zone):%a %Y-%m-%d}"
        day = sums[f"{key}  {r.queue}"]
        if r.excluded:
            day[3] += 1
        elif not r.HasField("base_count"):
            day[2] += 1
        else:
            day[0] += r.good_count
            day[1] += r.base_count
    table = table_of(
        "", "interval" if each_interval else "day", "numerator", "denominator", "quotient", "not observed", "excluded"
    )
    for key, (good, base, missing, excluded) in sorted(sums.items(), key=lambda item: item[0][4:]):
        quotient = f"{good / base / 1000:.1f} s" if a.metric == "ASA" and base else f"{good / base:.2%}" if base else "–"
        table.add_row(key, f"{good:,}", f"{base:,}", quotient, number(missing > 0, missing), number(excluded > 0, excluded))
    out.print(table)
    left = f"{a.unobserved_interval_count} of {a.interval_count} intervals not observed, {a.excluded_interval_count} excluded"
    out.print(f"  {a.good_count:,} ÷ {a.base_count:,}; to date {_value(a)} of {a.target:g}; {left}", highlight=False)
