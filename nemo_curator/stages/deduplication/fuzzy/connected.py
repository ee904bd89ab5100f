"""The steps that find near duplicates without measuring them: all that is connected by shared bands is one group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nemo_curator.stages.deduplication.fuzzy.buckets_to_edges import BucketsToEdgesStage
from nemo_curator.stages.deduplication.fuzzy.connected_components import ConnectedComponentsStage
from nemo_curator.stages.deduplication.fuzzy.identify_duplicates import IdentifyDuplicatesStage
from nemo_curator.stages.deduplication.fuzzy.lsh.stage import LSHStage
from nemo_curator.stages.deduplication.fuzzy.minhash import MinHashStage
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.tasks.file_group import FileGroupTask


@dataclass
class Connected:
    """One run, in the folders and columns of NVIDIA's package below `cache_path`."""

    steps: Steps
    files: InputFiles
    cache_path: str
    output_path: str
    text_field: str
    num_bands: int
    minhashes_per_band: int
    char_ngrams: int
    seed: int
    use_64_bit_hash: bool
    bands_per_iteration: int
    total_nparts: int | None
    cache_kwargs: dict[str, Any] | None
    write_kwargs: dict[str, Any] | None

    def find(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        """Write the ids to remove, and return the tasks of their files; none where no two documents share a band."""
        minhash = MinHashStage(
            self.cache_path,
            self.text_field,
            char_ngrams=self.char_ngrams,
            num_hashes=self.num_bands * self.minhashes_per_band,
            seed=self.seed,
            use_64bit_hash=self.use_64_bit_hash,
            read_format=self.files.input_filetype,
            read_kwargs=self.files.read_kwargs,
            write_kwargs=self.cache_kwargs,
        )
        signed = self.steps.run("minhash", [minhash], tasks)
        lsh = LSHStage(
            self.num_bands,
            self.minhashes_per_band,
            output_path=self.cache_path,
            read_kwargs=self.cache_kwargs,
            write_kwargs=self.cache_kwargs,
            bands_per_iteration=self.bands_per_iteration,
            total_nparts=self.total_nparts or 1 << (len(signed).bit_length() - 1),
        )
        shared = [task for task in self.steps.run("lsh", [lsh], signed) if task._metadata["num_docs"]]
        found: list[FileGroupTask] = []
        if shared:
            cached = self.cache_kwargs
            stages = [
                BucketsToEdgesStage(self.cache_path, read_kwargs=cached, write_kwargs=cached),
                ConnectedComponentsStage(self.cache_path, read_kwargs=cached, write_kwargs=cached),
                IdentifyDuplicatesStage(
                    output_path=self.output_path, read_kwargs=self.cache_kwargs, write_kwargs=self.write_kwargs
                ),
            ]
            found = self.steps.run("connected_components_pipeline", stages, shared)
        self.steps.result.add_pipeline_tasks("connected_components", [*found])
        return found
