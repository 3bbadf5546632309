"""muster decisions: list, watch, respond."""

import datetime as dt
from typing import Annotated

import typer

from muster.cli.connection import connect, console
from muster.dev.live import decision_line
from muster.kit.errors import Refusal
from muster.v1 import decision_pb2
from muster.v1 import staffing_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="Scale up, scale down or hold.")


@app.command("list")
def list_decisions(
    group: Annotated[str, typer.Option("--group")] = "",
    state: Annotated[str, typer.Option(help="OPEN, ACCEPTED, DONE, …")] = "",
    kind: Annotated[str, typer.Option(help="SCALE_UP, SCALE_DOWN, HOLD")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 30,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="with candidates and evidence")] = False,
) -> None:
    """List decisions, newest first."""
    request = pb.ListDecisionsRequest(staffing_group=group, page_size=limit)
    request.state = _value(decision_pb2.DecisionState, "DECISION_STATE_", state)  # type: ignore[assignment]
    request.kind = _value(decision_pb2.DecisionKind, "DECISION_KIND_", kind)  # type: ignore[assignment]
    out = console()
    found = connect().staffing.ListDecisions(request).decisions
    for d in found:
        out.print(f"{d.decision_id}  {decision_line(d)}", highlight=False, markup=False, soft_wrap=True)
        if verbose:
            for line in details(d):
                out.print("    " + line, highlight=False, markup=False, soft_wrap=True)
    if not found:
        out.print("no decisions", highlight=False)


def _value(enum: object, prefix: str, text: str) -> int:
    if not text:
        return 0
    names = list(enum.keys())  # type: ignore[attr-defined]
    if prefix + text not in names:
        allowed = ", ".join(n.removeprefix(prefix) for n in names[1:])
        raise Refusal("UNKNOWN_WORD", f"{text!r}; allowed: {allowed}")
    return int(enum.Value(prefix + text))  # type: ignore[attr-defined]


def details(d: decision_pb2.Decision) -> list[str]:
    """Return a decision's legs, candidates and evidence, a line each."""

    def share(there: bool, value: float) -> str:
        return f"{value:.1%}" if there else "–"

    lines = []
    for leg in d.legs:
        before = share(leg.HasField("service_level_before"), leg.service_level_before)
        after = share(leg.HasField("service_level_after"), leg.service_level_after)
        lines.append(f"leg {leg.queue} {leg.agents:+d}: service level {before} → {after}")
    for c in d.candidates:
        span = " – ".join(dt.datetime.fromtimestamp(t.seconds, dt.UTC).strftime("%H:%M") for t in (c.starts_at, c.ends_at))
        said = {True: "accepted", False: "declined"}[c.accepted] if c.HasField("accepted") else "no answer"
        lines.append(f"{c.agent} {span} UTC {c.from_queue or '–'} → {c.to_queue or '–'} ({said}): {c.why}")
    e = d.evidence
    lines.append(
        f"evidence: forecasts {list(e.forecast_versions)}, requirements {list(e.requirement_versions)}, schedule {e.schedule_version}, "
        f"presence {e.presence}, absent {e.absent_agents}, inputs {e.inputs_hash}"
    )
    lines.append(f"{decision_pb2.DecisionState.Name(d.state).removeprefix('DECISION_STATE_')}: {d.state_reason}")
    return lines


@app.command()
def watch(
    group: Annotated[str, typer.Option("--group")] = "",
    after: Annotated[int | None, typer.Option(help="resume after this position")] = None,
) -> None:
    """Watch decisions: those that stand, then every step; each line begins with its position."""
    out = console()
    for answer in connect().staffing.WatchDecisions(pb.WatchDecisionsRequest(staffing_group=group, after_position=after)):
        d = answer.decision
        out.print(f"{d.position:>6} {d.decision_id}  {decision_line(d)}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def respond(
    decision_id: str,
    accept: Annotated[bool, typer.Option("--accept/--reject")] = True,
    agent: Annotated[list[str] | None, typer.Option(help="accept only these candidates; may be repeated")] = None,
    reason: str = "",
) -> None:
    """Accept a decision, whole or in part, or reject it."""
    request = pb.RespondToDecisionRequest(decision_id=decision_id, accept=accept, accepted_agents=agent or [], reason=reason)
    d = connect().staffing.RespondToDecision(request).decision
    console().print(decision_line(d), highlight=False, markup=False, soft_wrap=True)
