"""A table below the cell of a notebook, drawn anew in its place."""

from __future__ import annotations

import html
import sys
from typing import Any

from nemo_curator.progress.display import View
from nemo_curator.progress.figures import Figures
from nemo_curator.progress.words import table

COLUMNS, LINES = 110, 40


class Notebook(View):
    """Shows the table as preformatted text; every frontend can update it, and so can one without scripts."""

    every_s = 0.5

    def __init__(self) -> None:
        self._said: list[str] = []
        # from the thread of the cell, or it would appear below another
        self._handle = sys.modules["IPython"].display.display(_both(""), raw=True, display_id=True)

    def show(self, figures: Figures, memory: int) -> None:
        self._update([*self._said, table(figures, memory, COLUMNS, LINES).plain])

    def say(self, text: str) -> None:
        self._said.append(text)
        self._update(self._said)

    def _update(self, texts: list[str]) -> None:
        self._handle.update(_both("\n".join(texts)), raw=True)


def _both(text: str) -> dict[str, Any]:
    return {"text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>" if text else ""}
