"""The commands `curator dedup exact`, `fuzzy` and `semantic` with their options."""

from __future__ import annotations

from typing import Annotated

import typer

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

app = typer.Typer(
    help="Remove duplicates: equal texts, texts that are nearly the same, or that mean the same.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Keep = Annotated[
    str, typer.Option(metavar="RULE", help="Which one stays: first, longest, highest:COLUMN or lowest:COLUMN.")
]
Checkpoint = Annotated[
    str | None, typer.Option(metavar="PATH", help="Go on where an earlier run with this folder was ended.")
]
Index = Annotated[
    str | None, typer.Option("--index", metavar="PATH", help="Compare with what this folder remembers, and add to it.")
]
Cache = Annotated[
    str | None, typer.Option("--cache", metavar="PATH", help="Where intermediate files go; by default OUTPUT/cache.")
]


@app.command()
def exact(
    files: Files,
    output: Output,
    text_field: TextField = "text",
    keep: Keep = "first",
    normalize: Annotated[
        list[str] | None, typer.Option(metavar="HOW", help="What does not matter: case, whitespace, nfc or nfkc.")
    ] = None,
    index: Index = None,
    checkpoint: Checkpoint = None,
    num_workers: NumWorkers = None,
    record: Record = None,
    no_record: NoRecord = False,
    progress: Progress = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Keep one of the documents with the same text."""
    from nemo_curator.cli import dedup

    return dedup.exact(
        files,
        output,
        {"text_field": text_field, "keep": keep, "normalize": normalize or None, "index_path": index},
        checkpoint=checkpoint,
        num_workers=num_workers,
        record=record,
        no_record=no_record,
        as_json=as_json,
    )


@app.command()
def fuzzy(
    files: Files,
    output: Output,
    text_field: TextField = "text",
    threshold: Annotated[float, typer.Option(help="The Jaccard similarity from which on a document goes.")] = 0.8,
    keep: Keep = "first",
    char_ngrams: Annotated[int, typer.Option(min=1, metavar="N", help="Characters of what is compared.")] = 24,
    index: Index = None,
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    num_workers: NumWorkers = None,
    record: Record = None,
    no_record: NoRecord = False,
    progress: Progress = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Keep one of the documents that are nearly the same."""
    from nemo_curator.cli import dedup

    return dedup.fuzzy(
        files,
        output,
        {
            "text_field": text_field,
            "threshold": threshold,
            "keep": keep,
            "char_ngrams": char_ngrams,
            "index_path": index,
            "cache_path": cache,
        },
        checkpoint=checkpoint,
        num_workers=num_workers,
        record=record,
        no_record=no_record,
        as_json=as_json,
    )


@app.command()
def semantic(
    files: Files,
    output: Output,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A folder, or a name in the local Hugging Face cache.")],
    text_field: TextField = "text",
    eps: Annotated[float, typer.Option(help="The cosine distance up to which a document goes.")] = 0.01,
    clusters: Annotated[int, typer.Option(min=1, metavar="N", help="Clusters; documents of one are compared.")] = 100,
    which_to_keep: Annotated[str, typer.Option(metavar="WHICH", help="hard, easy or random.")] = "hard",
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    num_workers: NumWorkers = None,
    record: Record = None,
    no_record: NoRecord = False,
    progress: Progress = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Keep one of the documents that mean the same to a model."""
    from nemo_curator.cli import dedup

    return dedup.semantic(
        files,
        output,
        {
            "model_identifier": model,
            "text_field": text_field,
            "eps": eps,
            "n_clusters": clusters,
            "which_to_keep": which_to_keep,
            "cache_path": cache,
        },
        checkpoint=checkpoint,
        num_workers=num_workers,
        record=record,
        no_record=no_record,
        as_json=as_json,
    )
