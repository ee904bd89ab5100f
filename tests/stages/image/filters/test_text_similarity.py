import numpy as np
import pytest

from nemo_curator.models.clip import CLIPImageEmbeddings
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from nemo_curator.stages.image.filters import ImageTextSimilarityFilterStage
from tests.stages.image.images import ids, noises, run
from tests.tiny_models import image_models_folder, siglip_folder

CAPTIONS = ["the cat", None, "the dog sat on the log", " ", "the cat"]


@pytest.mark.parametrize("folder", [image_models_folder, siglip_folder])
def test_images_are_compared_with_their_captions(folder):
    stages = [ImageEmbeddingStage(folder()), ImageTextSimilarityFilterStage(folder(), score_only=True)]
    made, _ = run(stages, [noises(5, caption=CAPTIONS)])
    model = CLIPImageEmbeddings(folder())
    rows = model([image.image_data for image in noises(5).data])
    texts = model.encode_text([caption or "x" for caption in CAPTIONS])
    wanted = np.where([bool((caption or "").strip()) for caption in CAPTIONS], (rows * texts).sum(1).numpy(), 0)
    scores = [image.text_similarity for image in made[0].data]
    assert np.allclose(scores, wanted, atol=1e-6)

    least = float(np.mean(sorted(scores)[1:3]))
    stages[1] = ImageTextSimilarityFilterStage(folder(), min_similarity=least, model_inference_batch_size=1)
    made, ran = run(stages, [noises(5, caption=CAPTIONS)])
    assert ids(made[0]) == [f"i{at}" for at, score in enumerate(scores) if score >= least]
    assert ran.dropped() == {"image_text_similarity_filter": 5 - len(made[0].data)}


def test_embeddings_of_another_model_are_failures():
    given = noises(2, caption=CAPTIONS[:2], embedding=[np.ones(768), np.ones(3)])
    made, ran = run(
        [ImageTextSimilarityFilterStage(image_models_folder(), score_only=True)], [given], max_failed_fraction=1
    )
    assert ids(made[0]) == ["i0"]
    assert "has an embedding of shape (3,); the model takes 768 numbers" in str(ran.stages[0].failures[0])
