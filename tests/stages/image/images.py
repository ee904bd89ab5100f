"""Batches of images, and pipelines over them."""

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.tasks.image import ImageBatch, ImageObject
from tests.models.photos import noise

HERE = LocalExecutor(num_workers=0)


def batch(*pixels, task_id="batch_0", first=0, **attributes):
    made = [ImageObject(f"{at}.jpg", f"i{at}", image_data=one) for at, one in enumerate(pixels, first)]
    for name, values in attributes.items():
        for image, value in zip(made, values, strict=True):
            setattr(image, name, value)
    return ImageBatch(dataset_name="set", data=made, _metadata={"a": 1}, task_id=task_id)


def noises(count, **attributes):
    return batch(*(noise(20, 30, seed) for seed in range(count)), **attributes)


def ids(task):
    return [image.image_id for image in task.data]


def run(stages, tasks, executor=HERE, **settings):
    pipeline = Pipeline("images", stages=stages)
    return pipeline.run(executor, tasks, **settings), pipeline.last_run
