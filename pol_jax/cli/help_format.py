"""Help fits any terminal: on a narrow one, what an option means stands below its name."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import click

_ROOM = 20
"""A meaning stands beside its name if it has this many columns there."""


class Formatter(click.HelpFormatter):
    """click's own formatter writes at least 50 columns, however narrow the terminal is."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        """Take the width of the terminal, unless one is given."""
        columns = shutil.get_terminal_size().columns
        super().__init__(indent_increment, width or max(min(columns, max_width or 80) - 2, 20), max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and meanings beside each other, or below each other where there is no room."""
        rows = list(rows)
        longest = max((len(name) for name, _ in rows), default=0)
        if self.width - self.current_indent - min(longest, col_max) - col_spacing >= _ROOM:
            super().write_dl(rows, col_max, col_spacing)
            return
        for name, meaning in rows:
            self.write_text(name)
            with self.indentation(), self.indentation():
                self.write_text(meaning)


class HelpContext(click.Context):
    """A help context is click's context of a call, whose help `Formatter` writes."""

    formatter_class = Formatter
