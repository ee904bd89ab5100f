"""`curator filter`: a recipe, or filters by name, on files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nemo_curator.cli.account import run_pipeline
from nemo_curator.cli.documents import check_apart, file_type_of, find_documents
from nemo_curator.cli.executors import make_executor
from nemo_curator.cli.expressions import parse_filter
from nemo_curator.cli.record import choose_folder
from nemo_curator.config.load import did_you_mean
from nemo_curator.errors import ConfigError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text import recipes
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.io.reader import JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter

CASCADES: dict[str, Callable[[str], list[ProcessingStage]]] = {
    "c4": recipes.c4,
    "english": recipes.heuristic_english,
    "fineweb": recipes.fineweb,
    "gopher": lambda text_field: [*recipes.gopher_repetition(text_field), *recipes.gopher_quality(text_field)],
    "non-english": recipes.heuristic_non_english,
    "refined-web-lines": recipes.refined_web_lines,
}
FORMATS = ("jsonl", "parquet")


def filter_files(
    paths: list[str],
    output: str,
    *,
    cascades: list[str],
    filters: list[str],
    text_field: str,
    file_format: str | None,
    rejected: str | None,
    num_workers: int | None,
    record: str | None,
    no_record: bool,
    as_json: bool,
) -> int:
    """Keep the documents that pass, write them as they came or in another format, and print the account."""
    if not cascades and not filters:
        raise ConfigError(f"nothing to filter by: give --with ({', '.join(CASCADES)}) or --filter")
    stages = [stage for name in cascades for stage in cascade(name, text_field)]
    stages += [ScoreFilter(parse_filter(text), text_field) for text in filters]
    files = find_documents(paths)
    check_apart(files, output)
    file_type = file_type_of(files)
    reader = ParquetReader(paths) if file_type == "parquet" else JsonlReader(paths)
    file_format = file_format or file_type
    pipeline = Pipeline("filter", stages=[reader, *stages, writer_of(file_format, output)])
    executor = make_executor({}, num_workers)

    def start(report_path: str | None) -> None:
        pipeline.run(executor, rejected_path=rejected, report_path=report_path)

    run_pipeline(pipeline, start, choose_folder("filter", record, no_record), as_json=as_json)
    return 0


def cascade(name: str, text_field: str) -> list[ProcessingStage]:
    """The stages of a recipe."""
    if name not in CASCADES:
        known = ", ".join(CASCADES)
        raise ConfigError(f"--with {name}: there is no such recipe{did_you_mean(name, CASCADES)}; known are {known}")
    return CASCADES[name](text_field)


def writer_of(file_format: str, output: str) -> JsonlWriter | ParquetWriter:
    """The writer of a format into a folder."""
    if file_format not in FORMATS:
        raise ConfigError(f"--format {file_format}: wanted {' or '.join(FORMATS)}{did_you_mean(file_format, FORMATS)}")
    if Path(output).suffix in (".jsonl", ".json", ".parquet", ".gz", ".zst"):
        raise ConfigError(f"{output} is a folder of files, one for each part of the input; give a name without ending")
    return ParquetWriter(output) if file_format == "parquet" else JsonlWriter(output)
