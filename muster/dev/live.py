"""What the demo shows: a live view on a terminal, plain lines elsewhere."""

import collections
import contextlib
import datetime as dt
from collections.abc import Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from muster.client.stubs import Muster
from muster.v1 import book_pb2, decision_pb2, schedule_pb2, staffing_service_pb2

COLOURS = {"SCALE_UP": "bold red", "SCALE_DOWN": "bold green", "HOLD": "bold yellow"}


def clock_text(instant: int) -> str:
    """Return an instant as day and time of UTC."""
    return dt.datetime.fromtimestamp(instant, dt.UTC).strftime("%a %H:%M UTC")


def decision_line(d: decision_pb2.Decision) -> str:
    """Return a decision in one line, its kind in capitals."""
    kind = decision_pb2.DecisionKind.Name(d.kind).removeprefix("DECISION_KIND_")
    lever = book_pb2.LeverKind.Name(d.lever).removeprefix("LEVER_KIND_").lower().replace("_", " ") if d.lever else ""
    state = decision_pb2.DecisionState.Name(d.state).removeprefix("DECISION_STATE_")
    how = f" {lever} ×{d.agent_count}" if lever else f" {d.reason_code}"
    units = d.cost.units + d.cost.nanos / 1e9
    cost = (
        f"; {'cost' if units >= 0 else 'saves'} {abs(units):,.2f} {d.cost.currency_code}"
        if lever and abs(units) >= 0.005
        else ""
    )
    return f"{clock_text(d.decide_at.seconds)}  {kind}{how}  {d.reason}{cost}  [{state}]"


def _share(observed: bool, value: float) -> str:
    return f"{value:.0%}" if observed else "–"


def states_table(states: list[staffing_service_pb2.QueueState], now: int) -> Table:
    """Return queues' states as a table."""
    table = Table(title=clock_text(now), title_justify="left", expand=False)
    table.add_column("queue")
    for head in ("forecast", "actual", "required", "scheduled", "on queue", "predicted SL", "month to date", "target"):
        table.add_column(head, justify="right")
    for s in states:
        table.add_row(
            s.queue,
            f"{s.forecast_offered_count:.0f}" if s.HasField("forecast_offered_count") else "closed",
            str(s.actual_offered_count) if s.HasField("actual_offered_count") else "–",
            f"{s.required_agents:.0f}" if s.HasField("required_agents") else "–",
            str(s.scheduled_agents),
            f"{s.on_queue_agents:.0f}" if s.HasField("on_queue_agents") else "–",
            _share(s.HasField("predicted_service_level"), s.predicted_service_level),
            f"{s.attainment:.1%}" if s.HasField("attainment") else "–",
            _share(s.HasField("target"), s.target),
        )
    return table


class Screen:
    """Shows the demo."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: collections.deque[Text] = collections.deque(maxlen=14)
        self._live: Live | None = None
        self._table: Table | None = None
        self._last_print = 0

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show a live view while the day is played, on a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def _refresh(self) -> None:
        if self._live:
            parts = [self._table] if self._table else []
            self._live.update(Group(*parts, *self._lines), refresh=True)

    def say(self, text: str, now: int | None = None) -> None:
        """Show a line."""
        line = f"{clock_text(now)}  {text}" if now else text
        if self._live:
            self._lines.append(Text(line, style="dim"))
            self._refresh()
        else:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def progress(self, p: schedule_pb2.SolveProgress) -> None:
        """Show how a solve goes on."""
        text = f"solving {p.staffing_group or '…'}: {p.done_count}/{p.total_count} agent-weeks, {p.doing}"
        if self._live:
            self._live.update(Group(*self._lines, Text(text)), refresh=True)
        else:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def decision(self, d: decision_pb2.Decision) -> None:
        """Show a decision."""
        kind = decision_pb2.DecisionKind.Name(d.kind).removeprefix("DECISION_KIND_")
        line = decision_line(d)
        if self._live:
            self._lines.append(Text(line, style=COLOURS.get(kind, "")))
            self._refresh()
        else:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def frame(self, now: int, muster: Muster) -> None:
        """Show the queues as they stand; off a terminal every four hours."""
        if not self._live and now - self._last_print < 4 * 3600:
            return
        self._last_print = now
        answer = muster.staffing.ListQueueStates(staffing_service_pb2.ListQueueStatesRequest())
        self._table = states_table(list(answer.states), now)
        if self._live:
            self._refresh()
        else:
            self._console.print(self._table)
