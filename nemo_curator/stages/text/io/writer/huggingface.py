"""Folders that `datasets.load_dataset` opens: Parquet, and a card that says what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.errors import ContractError, need
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.stages.text.io.writer.parquet import ParquetWriter
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.utils.find_files import find_files
from nemo_curator.utils.storage import ask, locate, open_bytes
from nemo_curator.utils.whole_files import put

CARD = "README.md"
_SPLIT = re.compile(r"\w+(\.\w+)*")


@dataclass
class HuggingFaceWriter(ParquetWriter):
    """Write documents as a data set of Hugging Face: Parquet in a folder for the split, and a card.

    `load_dataset(path)` opens it, also where it is uploaded. The card (`README.md`) is written when the run has ended;
    it says which files make which split, how many rows these have, and one type for each column, whatever a single file
    knows of it. What else is in a card that is there already stays. All Parquet files in the folder of a split are part
    of it, so a folder that holds files already is an error, unless `mode` says otherwise.
    """

    name: str = "huggingface_writer"
    mode: Literal["ignore", "overwrite", "append", "error"] = "error"
    split: str = field(default="train", kw_only=True)

    requires = {"datasets": "huggingface"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _SPLIT.fullmatch(self.split):
            raise ValueError(f"{self.name}: split is {self.split!r}; wanted letters, digits and dots")

    @property
    def folder(self) -> str:
        return f"{absolute(self.path)}/{self.split}"

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        table = task.to_pyarrow()
        for at, one in enumerate(table.schema):
            if pa.types.is_dictionary(one.type):  # `datasets` has no type for them
                table = table.set_column(at, one.name, table.column(at).cast(one.type.value_type))
        super().write_data(DocumentBatch(task.dataset_name, table), file_path)

    def after_run(self) -> None:
        super().after_run()
        write_card(absolute(self.path), self.write_kwargs.get("storage_options"))


def write_card(folder: str, storage_options: dict[str, Any] | None = None) -> None:
    """Write the card of a folder whose folders are splits of Parquet files."""
    hub, info = need("huggingface_hub", extra="huggingface"), need("datasets.info", extra="huggingface")
    fs, place = locate(folder, storage_options)
    splits, schema = _splits(folder, storage_options)
    if not splits:
        return
    features = need("datasets", extra="huggingface").Features.from_arrow_schema(schema)
    size = sum(one["num_bytes"] for one in splits)
    about = info.DatasetInfo(features=features, splits=splits, dataset_size=size, download_size=size)
    path = f"{place}/{CARD}"
    text = ask(fs, "cat_file", path).decode() if ask(fs, "exists", path) else "---\n---\n"
    card = hub.DatasetCard(text, ignore_metadata_errors=True)
    for key in ("dataset_info", "configs"):
        card.data.pop(key, None)
    info.DatasetInfosDict({"default": about}).to_dataset_card_data(card.data)
    files = [{"split": one["name"], "path": f"{one['name']}/*.parquet"} for one in splits]
    card.data["configs"] = [{"config_name": "default", "data_files": files}]
    put(fs, path, str(card).encode())


def _splits(folder: str, storage_options: dict[str, Any] | None) -> tuple[list[dict[str, Any]], pa.Schema]:
    """The splits in a folder with their sizes, and the schema of all files."""
    splits: dict[str, dict[str, Any]] = {}
    schema = pa.schema([])
    for found in find_files(folder, storage_options):
        name, slash, file = found.path[len(folder) + 1 :].partition("/")
        if not slash or "/" in file or not file.endswith(".parquet"):
            continue
        with open_bytes(found.path, storage_options) as source:
            footer = pq.ParquetFile(source)
            schema = _joined(schema, footer.schema_arrow, found.path)
        split = splits.setdefault(name, {"name": name, "num_bytes": 0, "num_examples": 0})
        split["num_bytes"] += found.size or 0
        split["num_examples"] += footer.metadata.num_rows
    return list(splits.values()), schema


def _joined(schema: pa.Schema, other: pa.Schema, path: str) -> pa.Schema:
    try:
        return pa.unify_schemas([schema, other.remove_metadata()], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        types = {
            one.name: (str(schema.field(one.name).type), str(one.type)) for one in other if one.name in schema.names
        }
        differing = {name: both for name, both in types.items() if both[0] != both[1]}
        raise ContractError(
            f"{path} has columns of other types than the files before it: {differing}; a data set has one type for "
            "each column, so give write_kwargs a schema. The files are written; the card is not"
        ) from error
