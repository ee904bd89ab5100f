"""What the reader decodes depends on the stages that follow it."""

import numpy as np
import pytest

from nemo_curator.pipeline.plan import make_plan
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image import (
    ConvertImageBatchToDocumentBatchStage,
    ImageAestheticFilterStage,
    ImageBlurFilterStage,
    ImageDuplicatesRemovalStage,
    ImageEmbeddingStage,
    ImageHashDeduplicationStage,
    ImageReaderStage,
    ImageTextSimilarityFilterStage,
    ImageWriterStage,
)
from nemo_curator.stages.resources import Resources
from tests.models.photos import IMAGES, needs_photos
from tests.stages.image.io.images import picture, run, write_tar
from tests.tiny_models import image_models_folder


class Looking(ProcessingStage):
    """Notes of which images pixels are held."""

    name = "looking"

    def process(self, task):
        for image in task.data:
            image.was_decoded = image.has_pixels
        return task


REMOVAL = ImageDuplicatesRemovalStage("ids")
EMBEDDING, WRITER = ImageEmbeddingStage(), ImageWriterStage("out")


@pytest.mark.parametrize(
    ("stages", "what"),
    [
        ([], "keeps"),
        ([Looking()], "keeps"),
        ([ImageBlurFilterStage(), EMBEDDING], "keeps"),
        ([REMOVAL, Looking()], "keeps"),
        ([EMBEDDING, ImageAestheticFilterStage(), WRITER], "leaves"),
        ([REMOVAL, EMBEDDING], "leaves"),
        ([ImageHashDeduplicationStage(), WRITER], "leaves"),
        ([WRITER], "checks"),
        ([REMOVAL, WRITER], "checks"),
        ([ImageTextSimilarityFilterStage(), ConvertImageBatchToDocumentBatchStage()], "checks"),
    ],
)
@pytest.mark.parametrize("decode", [True, False])
def test_the_reader_leaves_decoding_to_a_stage_that_does_it_by_itself(stages, what, decode):
    given = ImageReaderStage(input_path="in", decode=decode)
    reader = make_plan([given, *stages]).stages[1]
    assert reader.decode == (decode and what != "leaves")
    assert reader._keeps_pixels == (what == "keeps")
    assert given.decode == decode


def test_reader_and_writer_run_as_one_with_the_stage_that_decodes():
    plan = make_plan([ImageReaderStage(input_path="in"), EMBEDDING, WRITER])
    (together,) = (physical for segment in plan.segments for physical in segment)
    assert together.name == "image_reader + image_embedding + image_writer"
    assert together.resources == EMBEDDING.resources
    own = ImageReaderStage(input_path="in").with_(resources=Resources(cpus=0.5))
    apart = make_plan([own, EMBEDDING])
    assert [physical.name for segment in apart.segments for physical in segment] == ["image_reader", "image_embedding"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    cut = picture(9, size=(200, 200))[:9000]
    write_tar(folder / "a.tar", [("0.jpg", picture(0)), ("1.jpg", cut), ("2.png", picture(2, "PNG")), ("3.jpg", b"no")])
    return folder


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("behind", ["nothing", "user", "embedding", "writer"])
def test_wherever_images_are_decoded_those_that_cannot_be_fail(folder, tmp_path, behind, keeps, monkeypatch):
    monkeypatch.setattr("nemo_curator.stages.image.io.image_reader.PIXEL_BYTES", 2**20 if keeps else 0)
    stages = {
        "nothing": [],
        "user": [Looking()],
        "embedding": [ImageEmbeddingStage(image_models_folder()), Looking()],
        "writer": [ImageWriterStage(str(tmp_path))],
    }[behind]
    made, account = run(ImageReaderStage(input_path=str(folder)), *stages, max_failed_fraction=0.9)
    failed = {failure.source.rpartition("/")[2] for stage in account.stages for failure in stage.failures}
    assert failed == {"1.jpg", "3.jpg"}
    assert account.stages[-1].rows_out == 2
    if behind == "user":
        assert [image.was_decoded for image in made[0].data] == [keeps, keeps]
    if behind == "embedding":
        assert not any(image.was_decoded for image in made[0].data)


@needs_photos
def test_photos_are_decoded_to_what_the_embedding_takes_and_stay_within_five_digits(tmp_path):
    paths = sorted((IMAGES / "photos").glob("unsplash_*.jpg"))[:3]
    write_tar(tmp_path / "in" / "a.tar", [(path.name, path.read_bytes()) for path in paths])
    rows = {}
    for full in (False, True):
        embedding = ImageEmbeddingStage(image_models_folder(), full_decode=full)
        made, _ = run(ImageReaderStage(input_path=str(tmp_path / "in")), embedding)
        rows[full] = np.stack([image.embedding for image in made[0].data])
    model = embedding_model()
    exact = model([image.image_data for image in made[0].data]).numpy()
    assert np.abs(rows[True] - exact).max() < 1e-6
    assert (rows[False] * exact).sum(axis=1).min() > 0.99999
    assert not np.array_equal(rows[False], rows[True])


def embedding_model():
    stage = ImageEmbeddingStage(image_models_folder())
    stage.setup()
    return stage.model
