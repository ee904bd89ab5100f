import json
import shutil

import numpy as np
import pytest

from nemo_curator.errors import InputError
from nemo_curator.models.aesthetics import AestheticScorer
from nemo_curator.models.nsfw import NSFWScorer
from nemo_curator.stages.image.filters import BaseFilterStage, ImageAestheticFilterStage, ImageNSFWFilterStage
from tests.models.test_heads import NSFW, unit_rows
from tests.stages.image.images import ids, noises, run
from tests.tiny_models import image_models_folder


class First:
    """A model whose score is the first number of an embedding."""

    def __init__(self):
        self.sizes = []

    def __call__(self, rows):
        self.sizes.append(len(rows))
        return rows[:, 0]


def scored(*scores):
    return noises(len(scores), embedding=[np.array([score, 1], np.float32) for score in scores], tag=scores)


def with_model(stage):
    stage.model = First()
    return stage


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (BaseFilterStage(), "image_filter"),
        (ImageAestheticFilterStage(), "image_aesthetic_filter"),
        (ImageNSFWFilterStage(), "image_nsfw_filter"),
    ],
)
def test_the_defaults_are_those_of_the_api(stage, name):
    assert (stage.name, stage.model_inference_batch_size, stage.score_threshold) == (name, 32, 0.5)
    assert stage.resources.gpus in (0.25, 0.0)
    assert (stage.inputs(), stage.outputs()) == ((["data"], []), (["data"], []))


@pytest.mark.parametrize(
    ("stage", "kept"),
    [(ImageAestheticFilterStage(), ["i0", "i2", "i4"]), (ImageNSFWFilterStage(), ["i1", "i3"])],
)
def test_the_boundary_is_kept_by_one_and_dropped_by_the_other(stage, kept):
    given = scored(0.5, 0.49, 0.51, 0, 1)
    made = with_model(stage).process(given)
    assert ids(made) == kept
    assert [getattr(image, stage.score_field) for image in made.data] == pytest.approx(
        [image.tag for image in made.data]
    )
    assert made is not given
    assert len(given.data) == 5
    assert (made.dataset_name, made._metadata) == ("set", {"a": 1})


@pytest.mark.parametrize(("images", "sizes"), [(0, []), (2, [2]), (5, [2, 2, 1])])
def test_the_model_gets_so_many_embeddings_at_a_time(images, sizes):
    stage = with_model(ImageAestheticFilterStage(model_inference_batch_size=2))
    assert len(stage.process(scored(*[1.0] * images)).data) == images
    assert stage.model.sizes == sizes


def test_errors_of_a_model_pass_through():
    stage = ImageAestheticFilterStage()
    stage.model = lambda rows: 1 / 0
    with pytest.raises(ZeroDivisionError):
        stage.process(scored(1.0))


@pytest.mark.parametrize(
    ("stage", "scorer"),
    [(ImageAestheticFilterStage, AestheticScorer), (ImageNSFWFilterStage, NSFWScorer)],
)
def test_scores_are_those_of_the_model_and_drops_are_counted(stage, scorer, tmp_path):
    rows = unit_rows(9)
    wanted = scorer(image_models_folder())(rows).numpy()
    threshold = float(np.sort(wanted)[4])
    one = stage(image_models_folder(), score_threshold=threshold)
    made, ran = run([one], [noises(9, embedding=rows)], rejected_path=str(tmp_path))
    keep = wanted >= threshold if stage is ImageAestheticFilterStage else wanted < threshold
    assert ids(made[0]) == [f"i{at}" for at in np.flatnonzero(keep)]
    assert ran.dropped() == {one.name: int((~keep).sum())}
    rejects = [json.loads(line) for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [reject["row"]["image_id"] for reject in rejects] == [f"i{at}" for at in np.flatnonzero(~keep)]
    assert np.allclose([reject["score"] for reject in rejects], wanted[~keep])


def test_scores_can_be_had_without_dropping_anything():
    made = with_model(ImageNSFWFilterStage(score_only=True)).process(scored(0.9, 0.1))
    assert [image.nsfw_score for image in made.data] == pytest.approx([0.9, 0.1])


def test_images_without_a_usable_embedding_fail_by_themselves():
    rows = [*unit_rows(2), None, np.zeros(3), np.full(768, np.nan)]
    stage = ImageAestheticFilterStage(image_models_folder(), score_threshold=-9)
    made, ran = run([stage], [noises(5, embedding=rows)], max_failed_fraction=0.9)
    assert ids(made[0]) == ["i0", "i1"]
    assert [failure.message for failure in ran.stages[0].failures] == [
        "image i2 has no embedding: an ImageEmbeddingStage goes before the filter",
        "image i3 has an embedding of shape (3,); the model takes 768 numbers",
        "image i4 has an embedding that is not finite",
    ]
    with pytest.raises(InputError, match="has no embedding"):
        stage.process(noises(1))


def test_the_nsfw_weights_may_be_a_file_anywhere(tmp_path):
    shutil.copy(f"{image_models_folder()}/{NSFW}", tmp_path / "w.pth")
    made, _ = run(
        [ImageNSFWFilterStage(weights_path=str(tmp_path / "w.pth"), score_only=True)],
        [noises(2, embedding=unit_rows(2))],
    )
    wanted = NSFWScorer(image_models_folder())(unit_rows(2)).tolist()
    assert [image.nsfw_score for image in made[0].data] == pytest.approx(wanted)


def test_a_subclass_says_what_to_score_with_and_what_to_keep():
    class Small(BaseFilterStage):
        def make_model(self):
            model = First()
            model.setup = lambda: None
            return model

        def keep_scores(self, scores):
            return scores < 2

    made, _ = run([Small()], [scored(1.0, 3.0)])
    assert [(image.image_id, image.score) for image in made[0].data] == [("i0", 1.0)]
    with pytest.raises(NotImplementedError, match="neither make_model nor setup"):
        BaseFilterStage().setup()
