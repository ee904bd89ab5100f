"""What commands print: accounts, tables, and JSON that stands alone on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

last_words: list[str] = []
"""Lines for stderr when the command is over, below the error that ended it."""


def print_json(value: Any) -> None:
    try:
        print(json.dumps(value, ensure_ascii=False, indent=1))
    except UnicodeEncodeError:  # the name of a file need not be UTF-8, and a terminal may know ASCII alone
        print(json.dumps(value, indent=1))


@contextmanager
def quiet_stdout(wanted: bool = True) -> Iterator[None]:
    """Send what is printed within, also by processes that are started, to stderr: stdout is for the JSON after it."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a title: in a terminal in a frame, elsewhere aligned by spaces."""
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, title=title, title_justify="left")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    print(f"{title}\n{aligned([list(columns), *cells])}\n")


def aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
