"""Pages beside the records that they show."""

from __future__ import annotations

import logging
import os

from nemo_curator.report.page import render
from nemo_curator.report.record import load_record
from nemo_curator.utils.storage import locate
from nemo_curator.utils.whole_files import put

REPORT = "report.html"
logger = logging.getLogger(__name__)


def write_report(folder: str | os.PathLike) -> None:
    """Write `report.html` into the folder or URL of a run or workflow, from the record that is there."""
    write_page(f"{os.fspath(folder).rstrip('/')}/{REPORT}", render(load_record(folder)))


def add_report(folder: str | os.PathLike) -> None:
    """Write `report.html` beside a record that has just been written. Where that fails a warning says so."""
    try:
        write_report(folder)
    except Exception as error:  # the run has ended, and its record is there: a page can be made later
        words = f"{type(error).__name__}: {error}"
        logger.warning("the page in %s could not be written: %s; curator report writes it anew", folder, words)


def write_page(path: str, page: str) -> None:
    """Write a page to a file or URL; it appears when it is complete."""
    put(*locate(path), page.encode())
