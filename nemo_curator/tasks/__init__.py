"""What flows through a pipeline."""

from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.frames import from_frame, to_arrow, to_pandas, to_polars
from nemo_curator.tasks.image import ImageBatch, ImageObject, ImageSampleTask, ImageTaskData
from nemo_curator.tasks.interleaved import InterleavedBatch
from nemo_curator.tasks.sentinels import EmptyTask, FailedTask, NoneTask, SentinelTask, _EmptyTask
from nemo_curator.tasks.tasks import Task

__all__ = [
    "DocumentBatch",
    "EmptyTask",
    "FailedTask",
    "FileGroupTask",
    "ImageBatch",
    "ImageObject",
    "ImageSampleTask",
    "ImageTaskData",
    "InterleavedBatch",
    "NoneTask",
    "SentinelTask",
    "Task",
    "_EmptyTask",
    "from_frame",
    "to_arrow",
    "to_pandas",
    "to_polars",
]
