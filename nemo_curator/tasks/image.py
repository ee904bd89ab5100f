"""Images and what is known about them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nemo_curator.tasks.tasks import Task


@dataclass(eq=False)
class ImageObject:
    """One image: pixels as an (H, W, C) uint8 array, an embedding, scores."""

    image_path: str = ""
    image_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    image_data: np.ndarray | None = field(default=None, repr=False)
    embedding: np.ndarray | None = field(default=None, repr=False)
    aesthetic_score: float | None = None
    nsfw_score: float | None = None


@dataclass(repr=False, eq=False)
class ImageBatch(Task[list[ImageObject]]):
    """Images that go through a stage together."""

    dataset_name: str = ""
    data: list[ImageObject] = field(default_factory=list)

    @property
    def num_items(self) -> int:
        return len(self.data)

    def validate(self) -> bool:
        return bool(self.data)
