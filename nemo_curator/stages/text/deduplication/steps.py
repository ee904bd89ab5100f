"""What the workflows that cut parts out of texts share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError
from nemo_curator.stages.deduplication.buckets import MANIFEST, BucketSource, BucketWriter, buckets_for
from nemo_curator.stages.deduplication.removal import COPIES, root_of, whole_files
from nemo_curator.stages.deduplication.steps import DEDUPLICATED, InputFiles, Steps, check_copies
from nemo_curator.stages.text.deduplication.cuts import Cuts
from nemo_curator.stages.text.deduplication.rewriting import RewriteFilesStage, Rewriting
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.utils.file_utils import parse_bytes_string_to_int
from nemo_curator.utils.find_files import Found, compression_of, with_sizes
from nemo_curator.utils.storage import ask, locate
from nemo_curator.utils.whole_files import remove_leftovers

if TYPE_CHECKING:
    from nemo_curator.stages.base import ProcessingStage
    from nemo_curator.tasks.file_group import FileGroupTask
    from nemo_curator.tasks.tasks import Task

_BUCKET_BYTES = 2**28
_SMALL_BUCKET_BYTES, _SMALL_BUCKETS, _MOST_BUCKETS = 2**23, 16, 2**12
_COMPRESSED, _PARQUET = 5, 3
"""How much more text than bytes there is in files, about."""


@dataclass
class CuttingSteps:
    """The steps of a workflow that finds parts of texts in buckets, and writes the files again without them."""

    steps: Steps
    files: InputFiles
    output_path: str
    storage_options: dict[str, Any] | None = None
    tasks: list[FileGroupTask] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)

    def number_rows(self, initial_tasks: list[Task] | None) -> None:
        self.tasks = self.steps.number_rows(self.files, initial_tasks)

    def read(self, name: str, text_field: str, stages: list[ProcessingStage]) -> list[Task]:
        """Run stages over the texts and their ids."""
        return self.steps.run(name, [self.files.reader([text_field]), *stages], self.tasks)

    def into_buckets(self, name: str, key_field: str, num_buckets: int) -> BucketWriter:
        """The stage that writes into buckets of this name; buckets that an earlier run left there are deleted."""
        path = self.folder(name)
        fs, place = locate(path, self.storage_options)
        names = ask(fs, "find", place) if ask(fs, "exists", place) else []
        if names and not self._holds_buckets(path):
            raise InputError(f"{path} is for buckets, and holds other files such as {names[0]}; move them")
        self.buckets.append(path)
        return BucketWriter(path, key_field, num_buckets, mode="overwrite", storage_options=self.storage_options)

    def from_buckets(
        self, name: str, source: BucketWriter, written: list[Task], stages: list[ProcessingStage]
    ) -> list[Task]:
        """Run stages over the buckets that were written, if anything was."""
        if not any(task.data for task in written):
            return []
        return self.steps.run(name, [BucketSource(source.path, self.storage_options), *stages])

    def cuts(self, writer: BucketWriter, written: list[Task]) -> Cuts:
        """The cuts that were written, if any were: what an earlier run left is not read."""
        has_any = any(task.data for task in written)
        return Cuts(writer.path if has_any else None, writer.num_buckets, self.storage_options)

    def folder(self, name: str) -> str:
        return f"{absolute(self.output_path)}/{name}"

    def buckets_for(self, nbytes: float) -> int:
        """How many buckets for so much, by the memory that one may take; a few more keep all workers busy."""
        memory = _BUCKET_BYTES
        if self.steps.memory_limit is not None:
            memory = max(min(memory, parse_bytes_string_to_int(self.steps.memory_limit) // 8), 1)
        most = memory * _MOST_BUCKETS // 2  # beyond that they grow: their files would be too many
        least = min(int(nbytes) // _SMALL_BUCKET_BYTES, _SMALL_BUCKETS)
        return max(buckets_for(min(int(nbytes), most), memory), 1 << least.bit_length() >> 1)

    def text_bytes(self) -> int:
        """About how much text the files hold."""
        paths = sorted({str(path) for task in self.tasks for path in task.data})
        found = with_sizes([Found(path, None, "") for path in paths], self.files.storage_options)
        factor = _PARQUET if self.files.input_filetype == "parquet" else 1
        return sum((one.size or 0) * (_COMPRESSED if compression_of(one.path) else factor) for one in found)

    def rewrite(self, rewriting: Rewriting) -> dict[str, Any]:
        """Copy the files to `<output_path>/deduplicated`; what became of the documents, for the result."""
        paths = [str(path) for task in self.tasks for path in task.data]
        to_copy = whole_files(self.tasks, root_of(self.files.input_path, paths, self.files.storage_options))
        folder = self.folder(DEDUPLICATED)
        copies = {f"{folder}/{name}" for task in to_copy for name in task._metadata[COPIES]}
        check_copies(folder, copies, paths, self.storage_options)
        stage = RewriteFilesStage(folder, self.files.reader([]), rewriting, self.storage_options)
        made = self.steps.run("removal", [stage], to_copy)
        for place in {path.rpartition("/")[0] for path in copies}:
            remove_leftovers(place)  # of workers that were killed
        dropped: Counter[str] = sum((Counter(task._metadata["dropped"]) for task in made), Counter())
        return {
            "num_documents": sum(task._metadata["num_rows"] for task in made) + dropped.total(),
            "num_edited": sum(task._metadata["edited"] for task in made),
            "num_dropped": dropped.total(),
            "dropped": dict(dropped),
            "removed_chars": sum(task._metadata["removed_chars"] for task in made),
            "final_output_path": self.folder(DEDUPLICATED),
        }

    def delete_buckets(self) -> None:
        """Delete what only this run needed. With a checkpoint it stays, for a run that goes on."""
        for path in self.buckets if self.steps.checkpoint_path is None else []:
            fs, place = locate(path, self.storage_options)
            if self._holds_buckets(path):
                ask(fs, "rm", place, recursive=True)

    def _holds_buckets(self, path: str) -> bool:
        fs, place = locate(path, self.storage_options)
        return ask(fs, "exists", f"{place}/{MANIFEST}")
