import numpy as np
import pytest

from nemo_curator.backends.run_stage import run_stage
from nemo_curator.errors import InputError
from nemo_curator.ledger.counts import StageCount
from nemo_curator.models.clip import CLIPImageEmbeddings
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationStage
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from tests.models.photos import noise
from tests.stages.image.images import batch, ids, noises, run
from tests.tiny_models import image_models_folder, siglip_folder


class Counting(CLIPImageEmbeddings):
    """A model that notes how many images it is called with, and makes nothing of black ones."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def embed(self, prepared):
        self.sizes.append(len(prepared))
        return np.ones((len(prepared), 4)) * [[np.nan if image.max() == 0 else 1] for image in prepared]


def test_the_defaults_are_those_of_the_api():
    stage = ImageEmbeddingStage()
    assert (stage.name, stage.model_inference_batch_size, stage.remove_image_data) == ("image_embedding", 32, False)
    assert stage.resources.gpus in (0.25, 0.0)
    assert (stage.inputs(), stage.outputs()) == ((["data"], []), (["data"], []))
    with pytest.raises(ValueError, match="model_inference_batch_size is 0"):
        ImageEmbeddingStage(model_inference_batch_size=0)


@pytest.mark.parametrize(("images", "sizes"), [(0, []), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_the_model_gets_so_many_images_at_a_time_and_the_batch_stays_itself(images, sizes):
    stage = ImageEmbeddingStage(model_inference_batch_size=4)
    stage.model = Counting()
    given = noises(images, tag=range(images))
    made = stage.process(given)
    assert made is given
    assert stage.model.sizes == sizes
    assert [image.tag for image in made.data] == list(range(images))
    assert made._metadata == {"a": 1}


@pytest.mark.parametrize("remove", [False, True])
def test_images_get_what_the_model_makes_of_them_in_their_order(remove):
    wanted = CLIPImageEmbeddings(image_models_folder())([image.image_data for image in noises(5).data]).numpy()
    stage = ImageEmbeddingStage(image_models_folder(), model_inference_batch_size=2, remove_image_data=remove)
    made, ran = run([stage], [noises(5)])
    rows = np.stack([image.embedding for image in made[0].data])
    assert ids(made[0]) == ["i0", "i1", "i2", "i3", "i4"]
    assert rows.dtype == np.float32
    assert np.allclose(rows, wanted, atol=1e-6)
    assert all((image.image_data is None) == remove for image in made[0].data)
    assert ran.rows_failed == 0


def test_images_that_cannot_be_embedded_fail_by_themselves():
    stage = ImageEmbeddingStage(image_models_folder(), model_inference_batch_size=2)
    given = batch(noise(4, 4), None, noise(4, 4)[..., 0], None, None, noise(4, 5).astype(float), noise(3, 3))
    made, ran = run([stage], [given], max_failed_fraction=0.9)
    assert ids(made[0]) == ["i0", "i6"]
    assert ran.rows_failed == 5
    assert "image i1 has no pixels" in str(ran.stages[0].failures[0])
    stage.setup()
    with pytest.raises(InputError, match="image i0 has no pixels"):
        stage.process(batch(None))


class Short(Counting):
    """A model that has no memory for more images, once."""

    def embed(self, prepared):
        made = super().embed(prepared)
        if len(self.sizes) == 2:
            raise MemoryError
        return made


def test_images_are_not_let_go_of_before_all_of_the_batch_have_an_embedding():
    stage = ImageEmbeddingStage(model_inference_batch_size=2, remove_image_data=True)
    stage.model, count = Short(), StageCount("embedding")
    made = list(run_stage(stage, [noises(4)], count))
    assert [image.image_id for task in made for image in task.data] == ["i0", "i1", "i2", "i3"]
    assert count.rows_failed == 0


def test_an_embedding_that_is_not_finite_is_a_failure():
    stage = ImageEmbeddingStage()
    stage.model = Counting()
    with pytest.raises(InputError, match="image i1 has an embedding that is not finite"):
        stage.process(batch(noise(2, 2), noise(2, 2) * 0))


def test_another_model_is_named_by_its_folder():
    made, _ = run([ImageEmbeddingStage(siglip_folder())], [noises(2)])
    assert [len(image.embedding) for image in made[0].data] == [16, 16]


def test_semantic_deduplication_follows_as_the_guide_shows():
    pixels = [noise(20, 30, seed) for seed in (0, 1, 0, 2, 1)]
    given = [batch(*pixels[:3]), batch(*pixels[3:], task_id="batch_1", first=3)]
    stages = [
        ImageEmbeddingStage(image_models_folder(), remove_image_data=True),
        SemanticDeduplicationStage(id_field="image_id", embedding_field="image_embedding", n_clusters=2, eps=1e-5),
    ]
    made, ran = run(stages, given)
    left = [name for task in made for name in ids(task)]
    assert [pixels[int(name[1:])].sum() for name in left] == [*dict.fromkeys(pixels[int(n[1:])].sum() for n in left)]
    assert len(left) == 3
    assert ran.dropped() == {"semantic_deduplication": 2}
