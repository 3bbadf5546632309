"""A picture of a forecast against what happened, as SVG: the band, what was expected, what came."""

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, GAP = 1100, 300, 60, 20, 46, 34, 40
LEGEND = "band: 80 % of intervals should lie in it · line: expected a day ahead · dots: what came"


def forecast_picture(
    title: str,
    starts: Sequence[dt.datetime],
    came: Sequence[float],
    expected: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
) -> str:
    """Return the picture of some days, one panel a day. title: with the zone; starts: in it."""
    by_day: dict[dt.date, list[int]] = {}
    for place, start in enumerate(starts):
        by_day.setdefault(start.date(), []).append(place)
    top = max([*came, *high, 1.0]) * 1.05
    width = (WIDTH - LEFT - RIGHT - GAP * (len(by_day) - 1)) / max(len(by_day), 1)
    parts = _frame(title, starts)
    for panel, (day, places) in enumerate(sorted(by_day.items())):
        begin = LEFT + panel * (width + GAP)

        def x(place: int, begin: float = begin, places: Sequence[int] = tuple(places)) -> float:
            first, last = starts[places[0]], starts[places[-1]]
            span = max((last - first).total_seconds(), 1.0)
            return begin + (starts[place] - first).total_seconds() / span * width

        def y(value: float) -> float:
            return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)

        upper = [f"{x(p):.1f},{y(high[p]):.1f}" for p in places]
        lower = [f"{x(p):.1f},{y(low[p]):.1f}" for p in reversed(places)]
        line = [f"{x(p):.1f},{y(expected[p]):.1f}" for p in places]
        parts += [
            f'<polygon points="{" ".join(upper + lower)}" fill="#cfe0f3"/>',
            f'<polyline points="{" ".join(line)}" fill="none" stroke="#1f5fa8" stroke-width="2"/>',
            *(f'<circle cx="{x(p):.1f}" cy="{y(came[p]):.1f}" r="2.6" fill="#c0392b"/>' for p in places),
            f'<line x1="{begin:.1f}" y1="{y(0):.1f}" x2="{begin + width:.1f}" y2="{y(0):.1f}" stroke="#444"/>',
            *(
                f'<text x="{x(p):.1f}" y="{HEIGHT - 22}" text-anchor="middle" fill="#444">{starts[p]:%H:%M}</text>'
                for p in places
                if p != places[0] and starts[p].hour % 6 == 0 and starts[p].minute == 0
            ),
            f'<text x="{begin:.1f}" y="{HEIGHT - 6}">{day:%a %d %b}, {starts[places[0]]:%H:%M} to {starts[places[-1]]:%H:%M}</text>',
        ]
        if panel == 0:
            parts += [
                f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#444">{value:,.0f}</text>'
                for value in _marks(top)
            ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _frame(title: str, starts: Sequence[dt.datetime]) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
        f'<text x="{LEFT}" y="36" fill="#666">contacts each {_length(starts)} · {LEGEND}</text>',
    ]


def _length(starts: Sequence[dt.datetime]) -> str:
    """Return how long intervals are, in words."""
    steps = [(b - a).total_seconds() for a, b in itertools.pairwise(starts)]
    return f"{min((s for s in steps if s > 0), default=1800) / 60:g} min"


def _marks(top: float) -> list[float]:
    """Return the round numbers of an axis from 0, two to five of them: 1, 2 or 5 times a power of ten apart."""
    ten = 10 ** math.floor(math.log10(top))
    step = next(ten * part for part in (0.2, 0.5, 1.0, 2.0) if top / (ten * part) < 5)
    return [step * n for n in range(int(top / step) + 1)]
