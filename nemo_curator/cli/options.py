"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
TextField = Annotated[str, typer.Option(metavar="NAME", help="The column of the texts.")]
Files = Annotated[list[str], typer.Argument(metavar="INPUT", help="JSON Lines or Parquet: files, folders, patterns.")]
Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="The folder to write to.")]
NumWorkers = Annotated[int | None, typer.Option(min=0, metavar="N", help="Processes. 0: in this process.")]
Record = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Where the record of the run goes; else curator-runs/TIME-NAME.")
]
NoRecord = Annotated[bool, typer.Option("--no-record", help="Keep no record of the run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
