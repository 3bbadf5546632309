"""Tables that a narrow terminal can hold: what would be cut off is written shorter instead."""

import re

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

INSTANT = re.compile(r"\w{3} (\d{4})-(\d\d-\d\d) (\d\d:\d\d) (\S+)")
# Where a path or a constant may be broken: acme/ help, SERVICE_ LEVEL.
SEAM = re.compile(r"(?<=[A-Za-z])([/_])(?=[A-Za-z])")


class FittingTable(Table):
    """A table of texts that cuts nothing off. Instants of its first column stay on one line. Where a terminal is too narrow for its
    longest words, it does without rules between columns, says the day or the year, and the zone, of instants once, below, and then breaks paths,
    at last words."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal:
            self._fit(options.max_width)
        yield from super().__rich_console__(console, options)

    def _texts(self, column: int) -> list[str]:
        return [str(cell) for cell in (self.columns[column].header, *self.columns[column]._cells)]

    def _fit(self, width: int) -> None:
        """Give each column its longest word, or but that of its cells, and share what is left."""
        self.columns[0].no_wrap = any(INSTANT.fullmatch(cell) for cell in self._texts(0))
        cells, words, lines = self._needed()
        many = len(self.columns)
        room = width - 3 * many - 1
        if sum(lines) <= room:
            return
        if sum(words) > room:
            self._shorten()
            (cells, words, lines), room = self._needed(), width - many + 1
        if sum(words) > room:
            self._replace(SEAM, r"\1 ")
            cells, words, lines = self._needed()
        for column in self.columns:
            column.overflow = "fold"
        for least, most in ((words, lines), (cells, words)):
            if sum(least) <= room:
                self._share(least, most, room)
                return

    def _share(self, least: list[int], most: list[int], room: int) -> None:
        """Make columns as wide as the least they need, and give the rest to those that are furthest from what they would take."""
        widths = list(least)
        for _ in range(min(room, sum(most)) - sum(least)):
            poorest = min(range(len(widths)), key=lambda n: widths[n] / max(most[n], 1))
            widths[poorest] += 1
        for column, given in zip(self.columns, widths, strict=True):
            column.width = given

    def _needed(self) -> tuple[list[int], list[int], list[int]]:
        """Return how wide, of each column, the longest word of a cell, of its head too, and the longest text is."""
        texts = [self._texts(n) for n in range(len(self.columns))]
        lines = [max(map(cell_len, column)) for column in texts]
        cells, words = ([_longest_word(column[first:]) for column in texts] for first in (1, 0))
        if self.columns[0].no_wrap:
            cells[0] = words[0] = lines[0]
        return cells, words, lines

    def _shorten(self) -> None:
        found = [told for n in range(len(self.columns)) for cell in self._texts(n) for told in INSTANT.findall(cell)]
        if found:
            days, zones = sorted({f"{year}-{day}" for year, day, _, _ in found}), dict.fromkeys(told[3] for told in found)
            of = days[0] if len(days) == 1 else ", ".join(dict.fromkeys(day[:4] for day in days))
            self.caption, self.caption_justify = f"times of {of}, {', '.join(zones)}", "left"
            self._replace(INSTANT, r"\3" if len(days) == 1 else r"\2 \3")
        self.box, self.padding, self.show_edge = box.SIMPLE_HEAD, 0, False

    def _replace(self, what: re.Pattern[str], by: str) -> None:
        for column in self.columns:
            column._cells = [what.sub(by, str(cell)) for cell in column._cells]


def _longest_word(texts: list[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split()), default=1)
