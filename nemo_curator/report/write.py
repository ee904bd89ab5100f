"""Pages beside the records that they show."""

from __future__ import annotations

import os

from nemo_curator.report.page import render
from nemo_curator.report.record import load_record
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

REPORT = "report.html"


def write_report(folder: str | os.PathLike) -> None:
    """Write `report.html` into the folder or URL of a run or workflow, from the record that is there."""
    write_page(f"{os.fspath(folder).rstrip('/')}/{REPORT}", render(load_record(folder)))


def write_page(path: str, page: str) -> None:
    """Write a page to a file or URL; it appears when it is complete."""
    put(*locate(path), page.encode())
