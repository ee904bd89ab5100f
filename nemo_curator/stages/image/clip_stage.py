"""What the stages that run CLIP have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.models.clip import CLIP_ID, CLIPImageEmbeddings
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import gpus_or
from nemo_curator.tasks.image import ImageBatch

MOST_CPUS = 4
"""For one worker without a GPU: it holds a model of a gigabyte, and matrices this large keep several CPUs busy."""


@dataclass
class ClipStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Apply CLIP ViT-L/14 in `model_dir`, as `CLIPImageEmbeddings` finds it, or another that `model_id` names.

    `num_gpus_per_worker` counts where there is a GPU; else a worker takes up to four CPUs.
    """

    model_dir: str | None = None
    num_gpus_per_worker: float = 0.25
    model_inference_batch_size: int = 32
    model_id: str = field(default=CLIP_ID, kw_only=True)
    revision: str | None = field(default=None, kw_only=True)

    model: Any = field(default=None, init=False, repr=False, compare=False)

    is_row_wise = True
    requires = {"torch": "image", "transformers": "image", "PIL": "image"}

    def __post_init__(self) -> None:
        self.resources = gpus_or(self.num_gpus_per_worker, float(min(MOST_CPUS, os.cpu_count() or 1)))
        if self.model_inference_batch_size < 1:
            raise ValueError(f"model_inference_batch_size is {self.model_inference_batch_size}; wanted at least 1")

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def setup_on_node(self, node_info: Any = None, worker_metadata: Any = None) -> None:
        CLIPImageEmbeddings.download_weights_on_node(self.model_dir, self.model_id, self.revision)

    def setup(self, worker_metadata: Any = None) -> None:
        self.model = CLIPImageEmbeddings(self.model_dir, self.model_id, self.revision)

    def teardown(self) -> None:
        self.model = None
