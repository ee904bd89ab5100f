"""The beginning of a data set, to try a pipeline on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nemo_curator.errors import ConfigError
from nemo_curator.ledger import counts
from nemo_curator.pipeline.plan import flatten
from nemo_curator.stages.base import ProcessingStage, Spec
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader import BaseReader
from nemo_curator.stages.text.io.reader.huggingface import HuggingFacePartitioningStage
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.sentinels import EmptyTask


@dataclass
class FirstDocuments(ProcessingStage[EmptyTask, DocumentBatch]):
    """Read the first documents of a data set, and no files after those that hold them.

    What was read with them is dropped by the name of this stage.
    """

    source: FilePartitioningStage | HuggingFacePartitioningStage
    reader: BaseReader
    limit: int
    name: str = "first_documents"

    def outputs(self) -> Spec:
        return self.reader.outputs()

    def num_workers(self) -> int | None:
        return 1

    def process(self, task: EmptyTask) -> Iterator[DocumentBatch]:
        wanted = self.limit
        self.reader.setup()
        for batch in self._batches(task):
            yield batch.slice(0, wanted)
            wanted -= min(batch.num_items, wanted)
            if not wanted:
                counts.dropped(self.name, counts.unreported() - self.limit)
                return

    def _batches(self, task: EmptyTask) -> Iterator[DocumentBatch]:
        for group in self.source.process(task):
            made = self.reader.process(group)
            yield from [made] if isinstance(made, DocumentBatch) else made


def with_limit(stages: list[ProcessingStage], limit: int) -> list[ProcessingStage]:
    """Let a pipeline that begins with a reader read the first documents only."""
    flat = flatten(stages)
    source, reader = flat[0], flat[1] if len(flat) > 1 else None
    finders = FilePartitioningStage | HuggingFacePartitioningStage
    if not isinstance(source, finders) or not isinstance(reader, BaseReader):
        raise ConfigError(f"--limit needs a pipeline that begins with a reader; this one begins with {source.name}")
    return [FirstDocuments(source, reader, limit), *flat[2:]]
