"""Reading and writing for deduplication of one's own: whole groups of files, with ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, call, get_id_generator_actor
from nemo_curator.stages.text.io.reader import BaseFileReader, JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.tasks.document import DocumentBatch, concat_batches
from nemo_curator.tasks.file_group import FileGroupTask

if TYPE_CHECKING:
    import pandas as pd


class DeduplicationIO:
    """Read groups of files into pandas frames whose rows have ids, and write frames.

    The ids are those of the id generator: the one given, or the one that is running.
    """

    def __init__(self, id_generator: Any = None):
        self.id_generator = id_generator

    def read_jsonl(
        self, filepath: str | list[str], columns: list[str] | None = None, assign_id: bool = False, **kwargs: Any
    ) -> pd.DataFrame:
        return self._read(JsonlReaderStage(columns, kwargs), filepath, assign_id)

    def read_parquet(
        self, filepath: str | list[str], columns: list[str] | None = None, assign_id: bool = False, **kwargs: Any
    ) -> pd.DataFrame:
        return self._read(ParquetReaderStage(columns, kwargs), filepath, assign_id)

    def write_parquet(self, df: pd.DataFrame, filepath: str, **kwargs: Any) -> None:
        """Write a frame; `kwargs` are those of `ParquetWriter`."""
        folder, _, name = filepath.rpartition("/")
        stem, _, extension = name.rpartition(".")
        ParquetWriter(folder, extension or stem, kwargs).write_data(DocumentBatch(data=df), filepath)

    def assign_id(self, filepath: str | list[str], df: pd.DataFrame) -> pd.DataFrame:
        """Give the rows of a group of files their ids, in the frame. A column of ids that is there stays."""
        if CURATOR_DEDUP_ID_STR not in df.columns:
            generator = get_id_generator_actor() if self.id_generator is None else self.id_generator
            first = call(generator, "register_batch", filepath, len(df))
            df[CURATOR_DEDUP_ID_STR] = np.arange(first, first + len(df))
        return df

    def _read(self, reader: BaseFileReader, filepath: str | list[str], assign_id: bool) -> pd.DataFrame:
        paths = [filepath] if isinstance(filepath, str) else filepath
        made = reader.process(FileGroupTask("deduplication", paths))
        frame = concat_batches([made] if isinstance(made, DocumentBatch) else list(made)).to_pandas()
        return self.assign_id(filepath, frame) if assign_id else frame
