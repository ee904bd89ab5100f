"""`curator report`: the page of a run, or of two runs side by side."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from nemo_curator.cli.output import print_json, print_table
from nemo_curator.errors import InputError
from nemo_curator.report.compare import compare, plain
from nemo_curator.report.compare_page import render_comparison
from nemo_curator.report.page import render, verdict
from nemo_curator.report.record import LEDGER, WORKFLOW, Record, is_workflow, load_record, runs_of
from nemo_curator.report.text import COLUMNS, account_rows, sums
from nemo_curator.report.write import REPORT, write_page
from nemo_curator.utils.client_utils import is_remote_url

RUNS_FOLDER, RUNS_VARIABLE = "curator-runs", "CURATOR_RUNS"
COMPARISON = "comparison.html"


def report_run(run: str | None, *, against: str | None, output: str | None, as_json: bool, opens: bool) -> int:
    """Write the page of a run, or of what differs between two, and print the same in short.

    With `as_json` the record is printed, and a page is written where `output` says.
    """
    folder = run or newest_run(os.environ.get(RUNS_VARIABLE) or RUNS_FOLDER)
    record = load_record(folder)
    other = None if against is None else load_record(against)
    place = output or (None if as_json else f"{_folder_of(folder)}/{REPORT if other is None else COMPARISON}")
    if place is not None:
        names = (str(against), folder)
        write_page(place, render(record) if other is None else render_comparison(other, record, names))
    if as_json:
        print_json(record if other is None else plain(compare(other, record)))
    else:
        _print_record(record) if other is None else _print_comparison(other, record)
        print(f"page: {place}")
    if opens and place is not None:
        webbrowser.open(place if is_remote_url(place) else Path(place).absolute().as_uri())
    return 0


def newest_run(folder: str) -> str:
    """The run in a folder of runs whose record was written last."""
    if is_remote_url(folder):
        raise InputError(f"{folder} is a URL; name one of the runs there: curator report {folder}/RUN")
    records = [path for name in (LEDGER, WORKFLOW) for path in Path(folder).glob(f"*/{name}")]
    if not records:
        raise InputError(
            f"there are no runs in {folder}; name the folder of one, or the checkpoint_path that it was run with, or "
            f"set {RUNS_VARIABLE} to where they are"
        )
    return str(max(records, key=lambda path: (path.stat().st_mtime_ns, str(path))).parent)


def _folder_of(place: str) -> str:
    return (place.rpartition("/")[0] or ".") if place.endswith(".json") else place.rstrip("/")


def _print_record(record: Record) -> None:
    for name, run in runs_of(record).items():
        print_table(name, COLUMNS, account_rows(run))
        print("".join(f"{line}\n" for line in sums(run)))
    print(_ending(record))


def _print_comparison(before: Record, now: Record) -> None:
    for title, rows in _tables(before, now):
        print_table(title, ("what", "before", "now", "difference"), rows)
    print(f"before: {_ending(before)}\nnow: {_ending(now)}")


def _tables(before: Record, now: Record) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    for title, differences in compare(before, now).items():
        yield title, [(one.what, *(_short(words) for words in one.words())) for one in differences]


def _ending(record: Record) -> str:
    kind = "workflow" if is_workflow(record) else "pipeline"
    return f"{kind} {record.get(kind) or 'run'}: {verdict(record)[1]}"


def _short(words: str) -> str:
    return words if len(words) <= 100 else f"{words[:99]}…"
