"""The heads on CLIP: their layers, and that nothing but weights is read from files."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nemo_curator.errors import InputError
from nemo_curator.models.aesthetics import MLP, AestheticScorer
from nemo_curator.models.nsfw import Normalization, NSFWModel, NSFWScorer
from tests.tiny_models import image_models_folder

AESTHETIC = "ttj/sac-logos-ava1-l14-linearMSE/model.safetensors"
NSFW = "laion/clip-autokeras-binary-nsfw/clip_autokeras_binary_nsfw.pth"


def unit_rows(rows, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, 768)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_aesthetic_head_has_the_layers_that_are_published():
    shapes = {name: tuple(value.shape) for name, value in MLP().state_dict().items()}
    sizes = {0: (1024, 768), 2: (128, 1024), 4: (64, 128), 6: (16, 64), 7: (1, 16)}
    assert shapes == {
        **{f"layers.{at}.weight": size for at, size in sizes.items()},
        **{f"layers.{at}.bias": size[:1] for at, size in sizes.items()},
    }


def test_one_vector_scores_as_all_layers_do():
    scorer = AestheticScorer(image_models_folder())
    scorer.setup()
    mlp = MLP().eval()
    mlp.load_state_dict(load_file(f"{image_models_folder()}/{AESTHETIC}"))
    rows = unit_rows(100)
    wanted = mlp.double()(torch.from_numpy(rows).double()).squeeze(1).detach()
    made = scorer(rows)
    assert (made.shape, made.dtype) == ((100,), torch.float32)
    assert torch.allclose(made.double(), wanted, rtol=0, atol=2e-7)
    assert torch.equal(scorer(torch.from_numpy(rows)), made)


def test_the_nsfw_head_has_the_layers_that_are_published():
    shapes = {name: tuple(value.shape) for name, value in NSFWModel().state_dict().items()}
    sizes = {1: (64, 768), 2: (512, 64), 3: (256, 512), 4: (1, 256)}
    assert shapes == {
        "norm.mean": (768,),
        "norm.variance": (768,),
        **{f"linear_{at}.weight": size for at, size in sizes.items()},
        **{f"linear_{at}.bias": size[:1] for at, size in sizes.items()},
    }
    assert isinstance(NSFWModel().norm, Normalization)


def test_the_nsfw_head_computes_what_is_documented():
    scorer = NSFWScorer(image_models_folder())
    scorer.setup()
    weights = {name: value.double().numpy() for name, value in torch.load(f"{image_models_folder()}/{NSFW}").items()}
    rows = (unit_rows(50).astype(float) - weights["norm.mean"]) / np.sqrt(weights["norm.variance"])
    for at in range(1, 5):
        rows = rows @ weights[f"linear_{at}.weight"].T + weights[f"linear_{at}.bias"]
        rows = np.maximum(rows, 0) if at < 4 else 1 / (1 + np.exp(-rows))
    made = scorer(unit_rows(50))
    assert made.shape == (50,)
    assert np.allclose(made.numpy(), rows[:, 0], atol=1e-6)


class Boom:
    def __reduce__(self):
        return Path.write_text, (Path(self.target), "executed")


def test_code_in_a_file_of_weights_is_not_run(tmp_path):
    path = tmp_path / "weights.pth"
    boom = Boom()
    boom.target = str(tmp_path / "trace")
    path.write_bytes(pickle.dumps(boom, 2))
    with pytest.raises(InputError, match="does not hold the weights of a model, and nothing else"):
        NSFWScorer(weights_path=str(path)).setup()
    torch.save({"norm.mean": boom}, path)
    with pytest.raises(InputError, match="nothing else"):
        NSFWScorer(weights_path=str(path)).setup()
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("tensors", [{}, {"layers.0.weight": torch.zeros(1)}, torch.zeros(3)])
def test_weights_of_something_else_are_an_error(tmp_path, tensors):
    torch.save(tensors, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="weights of NSFWModel"):
        NSFWScorer(weights_path=str(tmp_path / "weights.pth")).setup()


def test_the_nsfw_weights_may_be_anywhere(tmp_path):
    place = shutil.copy(f"{image_models_folder()}/{NSFW}", tmp_path / "mine.pth")
    assert torch.equal(
        NSFWScorer(weights_path=str(place))(unit_rows(3)), NSFWScorer(image_models_folder())(unit_rows(3))
    )
    with pytest.raises(InputError, match="there are no weights at"):
        NSFWScorer(weights_path=str(tmp_path / "none.pth")).setup()
