"""The image script of the migration guide, on real photos in tars."""

import json

import numpy as np

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationStage
from nemo_curator.stages.image import (
    ImageAestheticFilterStage,
    ImageEmbeddingStage,
    ImageHashDeduplicationStage,
    ImageNSFWFilterStage,
    ImageReaderStage,
    ImageWriterStage,
)
from tests.models.photos import IMAGES, needs_photos
from tests.tiny_models import image_models_folder


def guide(**where):
    model = image_models_folder()
    return [
        ImageReaderStage(task_batch_size=3, num_threads=16, num_gpus_per_worker=0.25, verbose=False, **where),
        ImageEmbeddingStage(
            model_dir=model,
            num_gpus_per_worker=0.25,
            model_inference_batch_size=2,
            remove_image_data=False,
            verbose=False,
        ),
        SemanticDeduplicationStage(id_field="image_id", embedding_field="image_embedding", n_clusters=100, eps=0.01),
    ]


def test_the_script_of_the_guide_is_built_and_described():
    stages = guide()
    stages.insert(
        2,
        ImageAestheticFilterStage(
            model_dir="m",
            num_gpus_per_worker=0.25,
            model_inference_batch_size=32,
            score_threshold=0.5,
            verbose=False,
        ),
    )
    pipeline = Pipeline(
        name="image_curation", description="Curate images with embeddings and quality scoring", stages=stages
    )
    assert "image_embedding" in pipeline.describe()


@needs_photos
def test_the_script_of_the_guide_runs_on_tars(tmp_path):
    tars = [str(path) for path in sorted((IMAGES / "webdataset").glob("clipretrieval_*.tar"))]
    stages = [*guide(input_path=[*tars]), ImageWriterStage(str(tmp_path), verbose=False)]
    pipeline = Pipeline("image_curation", stages=stages)
    pipeline.run(LocalExecutor(num_workers=1), rejected_path=str(tmp_path / "rejected"))
    ran = pipeline.last_run
    images = ran.stages[1].rows_in
    gone = ran.dropped().get("semantic_deduplication", 0)
    assert images >= 10
    assert ran.rows_failed == 0
    assert ran.stages[-1].rows_in == images - gone
    rejected = [line for path in (tmp_path / "rejected").glob("*") for line in path.read_text().splitlines()]
    assert len(rejected) == gone
    assert all(json.loads(line)["row"]["image_id"] for line in rejected)


@needs_photos
def test_hashes_scores_and_filters_work_on_what_the_reader_reads(tmp_path):
    stages = [
        ImageReaderStage(input_path=str(IMAGES / "neardup_imagededup"), verbose=False),
        ImageHashDeduplicationStage(),
        ImageEmbeddingStage(image_models_folder(), remove_image_data=True),
        ImageAestheticFilterStage(image_models_folder(), score_threshold=-9),
        ImageNSFWFilterStage(image_models_folder(), score_only=True),
    ]
    pipeline = Pipeline("images", stages=stages)
    made = pipeline.run(LocalExecutor(num_workers=0), max_failed_fraction=0.2)
    images = [image for task in made for image in task.data]
    ran = pipeline.last_run
    assert ran.dropped()["image_hash_deduplication"] >= 8
    assert all(image.image_data is None and np.isfinite(image.aesthetic_score) for image in images)
    assert all(0 <= image.nsfw_score <= 1 for image in images)
    assert len({image.content_hash for image in images}) == len(images)
