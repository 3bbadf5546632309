"""Tables that a narrow terminal can hold: what would be cut off is written shorter instead."""

import re

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

INSTANT = re.compile(r"\w{3} (\d{4})-(\d\d-\d\d \d\d:\d\d) (\S+)")


class FittingTable(Table):
    """A table of texts that cuts no word. Instants of its first column stay on one line. Where a terminal is too narrow for its
    longest words, it does without rules between columns, and says the year and the zone of instants once, below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal:
            self._fit(options.max_width)
        yield from super().__rich_console__(console, options)

    def _texts(self, column: int) -> list[str]:
        return [str(cell) for cell in (self.columns[column].header, *self.columns[column]._cells)]

    def _fit(self, width: int) -> None:
        """Give each column its longest word, and what is left to those that need more."""
        self.columns[0].no_wrap = any(INSTANT.fullmatch(cell) for cell in self._texts(0))
        many = len(self.columns)
        words, lines = self._needed()
        room = width - 3 * many - 1
        if sum(lines) <= room:
            return
        if sum(words) > room:
            self._shorten()
            (words, lines), room = self._needed(), width - many + 1
        left = min(room, sum(lines)) - sum(words)
        if left < 0:
            return
        wanted = sum(lines) - sum(words)
        for n, column in enumerate(self.columns):
            more = (lines[n] - words[n]) * left // wanted if wanted else 0
            column.width, left, wanted = words[n] + more, left - more, wanted - (lines[n] - words[n])

    def _needed(self) -> tuple[list[int], list[int]]:
        """Return how wide the longest word, and the longest text, of each column is."""
        texts = [self._texts(n) for n in range(len(self.columns))]
        lines = [max(map(cell_len, column)) for column in texts]
        words = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in texts]
        return [lines[0] if self.columns[0].no_wrap else words[0], *words[1:]], lines

    def _shorten(self) -> None:
        found = [told for n in range(len(self.columns)) for cell in self._texts(n) for told in INSTANT.findall(cell)]
        if found:
            years, zones = (", ".join(dict.fromkeys(told[part] for told in found)) for part in (0, 2))
            self.caption, self.caption_justify = f"times of {years}, {zones}", "left"
        for column in self.columns:
            column._cells = [INSTANT.sub(r"\2", str(cell)) for cell in column._cells]
        self.box, self.padding, self.show_edge = box.SIMPLE_HEAD, 0, False
