"""The commands of `curator` with their options, and what becomes of errors.

A command exits with 0 when it did what was asked, with 1 when it failed or rows failed, and with 2 when what was asked
makes no sense: an unknown option, a missing file, a mistake in a configuration. An error is a line on stderr.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nemo_curator import __version__
from nemo_curator.cli import dedup_commands
from nemo_curator.cli.options import (
    AsJson,
    Debug,
    Files,
    NoRecord,
    NumWorkers,
    Output,
    Progress,
    Quiet,
    Record,
    TextField,
)
from nemo_curator.cli.output import last_words
from nemo_curator.errors import (
    CheckpointError,
    ConfigError,
    ContractError,
    CuratorError,
    InputError,
    RunFailedError,
)
from nemo_curator.ledger.machine import command
from nemo_curator.ledger.secrets import open_command

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
_WRONG_USAGE = (
    CheckpointError,
    ConfigError,
    ContractError,
    InputError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)

app = typer.Typer(
    name="curator",
    help="Curate training data: look at it, filter it, deduplicate it, convert it.",
    epilog="Exits with 0 when done, 1 when the run or rows failed, 2 when the usage or the input is wrong.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(dedup_commands.app, name="dedup")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    _open_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    before = command.set(open_command(["curator", *given]))
    last_words.clear()
    try:
        return _run(given)
    finally:
        command.reset(before)
        _let_go_of_stdout()
        with contextlib.suppress(BrokenPipeError):
            print(*last_words, sep="\n", end="\n" if last_words else "", file=sys.stderr)


def _open_closed_streams() -> None:
    """Let what is written to a closed stdout or stderr go nowhere, and no file that is opened later take its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115, PTH123 - it stays open; the null device is no Path


def _let_go_of_stdout() -> None:
    """Write what is left for whoever reads our output; one who has seen enough is no failure."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(given: list[str]) -> int:
    try:
        code = app(given, prog_name="curator", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # so typer says
            return _say("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else DONE
    except typer.TyperException as error:
        return _say(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        return DONE  # typer would make a failure of it
    except Exception as error:  # a person gets a line; --debug has the rest
        if "--debug" in given:
            raise
        return _say(_in_words(error), _exit_code(error))


def _exit_code(error: Exception) -> int:
    return WRONG_USAGE if isinstance(error, _WRONG_USAGE) else FAILED


def _in_words(error: Exception) -> str:
    if isinstance(error, CuratorError):
        return str(error) if isinstance(error, RunFailedError) else " ".join(str(error).split("\n"))
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, _WRONG_USAGE):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


def _say(message: str, code: int) -> int:
    if message:
        with contextlib.suppress(BrokenPipeError):
            print(f"error: {message}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"curator {__version__}")
        raise typer.Exit


@app.callback()
def curator(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    pass


@app.command()
def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a bundled recipe such as gopher.")
    ],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values of the recipe; also +new=value and ~key.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and run nothing.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Read the first N documents and no more.")
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="What runs it: local (this machine), xenna, ray_data or ray_actor_pool.")
    ] = None,
    num_workers: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Processes; for Ray CPUs. 0: in this process.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="PATH", help="Go on where an earlier run with this folder was ended.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="PACKAGE", help="A package of yours whose classes the file may name.")
    ] = None,
    record: Record = None,
    no_record: NoRecord = False,
    progress: Progress = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Run a pipeline or workflow that is written as YAML, and print what became of every row."""
    from nemo_curator.cli.run import run_recipe

    return run_recipe(
        recipe,
        values or [],
        dry_run=dry_run,
        limit=limit,
        executor=executor,
        num_workers=num_workers,
        checkpoint=checkpoint,
        allow=allow or [],
        record=record,
        no_record=no_record,
        as_json=as_json,
    )


@app.command()
def inspect(
    files: Files,
    text_field: TextField = "text",
    samples: Annotated[int, typer.Option(min=0, metavar="N", help="Documents to show.")] = 3,
    languages: Annotated[bool, typer.Option("--languages", help="Tell the languages of 1,000 texts.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Look at the first N documents only.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Show what is in files of documents: columns, nulls, lengths, languages, samples."""
    from nemo_curator.cli.inspection import inspect_files

    return inspect_files(
        files, text_field=text_field, samples=samples, languages=languages, limit=limit, as_json=as_json
    )


@app.command()
def stages(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Describe this one.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """List all stages, filters and modifiers, or describe one with its parameters."""
    from nemo_curator.cli.catalog import show

    return show(name, as_json=as_json)


@app.command("filter")
def filter_(
    files: Files,
    output: Output,
    cascades: Annotated[
        list[str] | None, typer.Option("--with", metavar="RECIPE", help="gopher, c4, fineweb, english, …")
    ] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="FILTER", help="Such as 'WordCountFilter(min_words=80)'.")
    ] = None,
    text_field: TextField = "text",
    file_format: Annotated[
        str | None, typer.Option("--format", help="jsonl or parquet; by default that of the input.")
    ] = None,
    rejected: Annotated[str | None, typer.Option(metavar="PATH", help="A folder for what is dropped, and why.")] = None,
    num_workers: NumWorkers = None,
    record: Record = None,
    no_record: NoRecord = False,
    progress: Progress = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Keep the documents that pass recipes or filters, and print what each of them dropped."""
    from nemo_curator.cli.filtering import filter_files

    return filter_files(
        files,
        output,
        cascades=cascades or [],
        filters=filters or [],
        text_field=text_field,
        file_format=file_format,
        rejected=rejected,
        num_workers=num_workers,
        record=record,
        no_record=no_record,
        as_json=as_json,
    )


@app.command()
def convert(
    files: Files,
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="A folder, or one file such as all.jsonl.gz.")],
    file_format: Annotated[str | None, typer.Option("--format", help="jsonl or parquet, in a folder.")] = None,
    compression: Annotated[
        str | None, typer.Option(metavar="METHOD", help="none, gzip, bz2, xz or zstd; in Parquet also snappy, …")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, metavar="N", help="Files of N documents.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Files of about so much before compression, such as 256MB.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Write the same documents in another format, compression or number of files."""
    from nemo_curator.cli.conversion import convert_files

    return convert_files(
        files, output, file_format=file_format, compression=compression, rows=rows, size=size, as_json=as_json
    )


@app.command()
def report(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="The folder of a run; by default the newest in curator-runs.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Compare with this run, which was before.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the page is written; by default into the folder of the run."),
    ] = None,
    as_json: AsJson = False,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
    debug: Debug = False,
) -> int:
    """Write what a run did as a page for a browser, and print it in short; or compare two runs."""
    from nemo_curator.cli.report import report_run

    return report_run(run, against=against, output=output, as_json=as_json, opens=opens)


@app.command()
def doctor(as_json: AsJson = False, debug: Debug = False) -> int:
    """Say what this machine has, what is missing, and how to get it."""
    from nemo_curator.cli.doctor import examine

    return examine(as_json=as_json)


@app.command()
def warmup(debug: Debug = False) -> int:
    """Compile all kernels now, so that no later run has to."""
    from nemo_curator.kernels.__main__ import main as compile_kernels

    compile_kernels()
    return DONE
