"""`curator dedup`: the workflows of deduplication with removal."""

from __future__ import annotations

from typing import Any

from nemo_curator.cli.account import run_workflow
from nemo_curator.cli.documents import check_apart, file_type_of, find_documents
from nemo_curator.cli.executors import make_executor
from nemo_curator.cli.output import print_json
from nemo_curator.cli.record import choose_folder
from nemo_curator.errors import ConfigError
from nemo_curator.pipeline.workflow import WorkflowRunResult
from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.fuzzy.workflow import FuzzyDeduplicationWorkflow
from nemo_curator.stages.deduplication.steps import DEDUPLICATED
from nemo_curator.stages.text.deduplication.semantic import TextSemanticDeduplicationWorkflow


def exact(paths: list[str], output: str, settings: dict[str, Any], **options: Any) -> int:
    """Remove documents whose text another one has."""
    settings = {**settings, "keep": keep_rule(settings["keep"])}
    return _run("exact", ExactDeduplicationWorkflow, "executor", paths, output, settings, **options)


def fuzzy(paths: list[str], output: str, settings: dict[str, Any], **options: Any) -> int:
    """Remove documents that are nearly the same as another one."""
    cache = settings["cache_path"] or f"{output.rstrip('/')}/cache"
    settings = {**settings, "keep": keep_rule(settings["keep"]), "cache_path": cache}
    return _run("fuzzy", FuzzyDeduplicationWorkflow, "executor", paths, output, settings, **options)


def semantic(paths: list[str], output: str, settings: dict[str, Any], **options: Any) -> int:
    """Remove documents that mean the same as another one."""
    cache = settings["cache_path"] or f"{output.rstrip('/')}/cache"
    settings = {**settings, "cache_path": cache, "verbose": False}
    return _run("semantic", TextSemanticDeduplicationWorkflow, "streaming_executor", paths, output, settings, **options)


def keep_rule(text: str) -> str | dict[str, Any]:
    """What the workflows call a rule that is written as first, longest, highest:COLUMN or lowest:COLUMN."""
    which, colon, column = text.partition(":")
    if not colon and which in ("first", "longest"):
        return which
    if column and which in ("highest", "lowest"):
        return {"column": column, "descending": which == "highest"}
    raise ConfigError(f"--keep {text}: wanted first, longest, highest:COLUMN or lowest:COLUMN")


def _run(
    name: str,
    kind: type,
    executor_name: str,
    paths: list[str],
    output: str,
    settings: dict[str, Any],
    *,
    checkpoint: str | None,
    num_workers: int | None,
    record: str | None,
    no_record: bool,
    as_json: bool,
) -> int:
    files = find_documents(paths)
    check_apart(files, output)
    file_type = file_type_of(files)
    settings |= {"input_path": paths, "output_path": output, "input_filetype": file_type, "perform_removal": True}
    if kind is TextSemanticDeduplicationWorkflow:
        settings["output_filetype"] = file_type
    try:
        workflow = kind(**settings)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    executors = {executor_name: make_executor({}, num_workers)}
    if executor_name == "streaming_executor":
        executors["batch_executor"] = executors[executor_name]

    def start(report_path: str | None) -> WorkflowRunResult:
        return workflow.run(**executors, checkpoint_path=checkpoint, report_path=report_path)

    run_workflow(
        workflow,
        start,
        choose_folder(f"dedup-{name}", record, no_record),
        lambda result: _tell(result, output, as_json=as_json),
        as_json=as_json,
    )
    return 0


def _tell(result: WorkflowRunResult, output: str, *, as_json: bool) -> None:
    removal = result.runs["removal"].stages[-1]
    removed = removal.rows_in - removal.rows_out
    report = {
        "documents": removal.rows_in,
        "removed": removed,
        "kept": removal.rows_out,
        "output": f"{output.rstrip('/')}/{DEDUPLICATED}",
    }
    if as_json:
        account = result.to_dict()
        print_json({**report, "metadata": account["metadata"], "clusters": account["clusters"]})
        return
    share = f"{removed / max(removal.rows_in, 1):.1%}"
    print(f"{removal.rows_in:,} documents, {removed:,} removed ({share}), {removal.rows_out:,} kept")
    print(f"{'what stays':18}{report['output']}")
    clusters = result.metadata.get("clusters")
    if clusters is not None:
        print(f"{'why the rest goes':18}{output.rstrip('/')}/clusters")
