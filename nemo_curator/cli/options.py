"""Options that several commands have."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def _show(context: typer.Context, how: str | None) -> None:
    """Set for the command what its run reads."""
    from nemo_curator.progress.display import MODES, VARIABLE

    if how is None:
        return
    if how not in MODES:
        raise typer.BadParameter(f"{how!r}; wanted one of {', '.join(MODES)}")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = how
    context.call_on_close(lambda: os.environ.pop(VARIABLE, None) if before is None else _set(VARIABLE, before))


def _set(variable: str, value: str) -> None:
    os.environ[variable] = value


def _hide(context: typer.Context, wanted: bool) -> None:
    _show(context, "off" if wanted else None)


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
TextField = Annotated[str, typer.Option(metavar="NAME", help="The column of the texts.")]
Files = Annotated[list[str], typer.Argument(metavar="INPUT", help="JSON Lines or Parquet: files, folders, patterns.")]
Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="The folder to write to.")]
NumWorkers = Annotated[int | None, typer.Option(min=0, metavar="N", help="Processes. 0: in this process.")]
Record = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Where the record of the run goes; else curator-runs/TIME-NAME.")
]
NoRecord = Annotated[bool, typer.Option("--no-record", help="Keep no record of the run.")]
Progress = Annotated[
    str | None, typer.Option(metavar="HOW", callback=_show, help="How to show progress: auto, live, plain or off.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_hide, help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
