"""From images to documents: what is known about them, without their pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.usable import PixelUse
from nemo_curator.tasks.document import DocumentBatch, to_array
from nemo_curator.tasks.image import ImageBatch


@dataclass
class ConvertImageBatchToDocumentBatchStage(ProcessingStage[ImageBatch, DocumentBatch]):
    """Make a row of each image, with a column for each attribute in `fields`, or the id alone where none is named.

    An attribute that an image lacks is null. Arrays of one dimension, such as embeddings, become lists of numbers.
    """

    fields: list[str] = field(default_factory=list)
    name: str = "convert_image_batch_to_document_batch"

    pixel_use: ClassVar[PixelUse] = "last"
    is_light = True

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], self.fields or ["image_id"]

    def process(self, task: ImageBatch) -> DocumentBatch:
        columns = {name: _column([getattr(image, name, None) for image in task.data]) for name in self.outputs()[1]}
        return DocumentBatch.from_arrow(
            pa.table(columns), dataset_name=task.dataset_name, metadata=dict(task._metadata)
        )


def _column(values: list[Any]) -> pa.Array | pa.ChunkedArray:
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    if not arrays:
        return to_array([value.item() if isinstance(value, np.generic) else value for value in values])
    if all(array.ndim == 1 for array in arrays):
        kind = pa.list_(pa.from_numpy_dtype(np.result_type(*arrays)))
        return pa.array([None if value is None else np.asarray(value).tolist() for value in values], kind)
    return to_array([value.tolist() if isinstance(value, np.ndarray) else value for value in values])
