"""How much people like an image, told from its CLIP embedding."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from nemo_curator.errors import need
from nemo_curator.models.base import ModelInterface
from nemo_curator.models.weights import HubModel, load_tensors

AESTHETICS = HubModel("ttj/sac-logos-ava1-l14-linearMSE", ("model.safetensors",), "1e77fa0", "model.safetensors")


class AestheticScorer(ModelInterface):
    """Rate images at roughly 1 to 10 by their embeddings: those of CLIP ViT-L/14, of length one.

    Nothing bends between the layers of the published model, so all five are one: a vector and a number, multiplied
    out in double precision when it is loaded.
    """

    dimensions = 768

    def __init__(self, model_dir: str | None = None):
        self.model_dir = model_dir
        self._vector: Any = None
        self._bias: Any = None

    @property
    def model_id_names(self) -> list[str]:
        return [AESTHETICS.id]

    @classmethod
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Bring the weights into their folder, unless they are there."""
        AESTHETICS.fetch(model_dir)

    def setup(self) -> None:
        torch = need("torch", extra="image")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        mlp = load_tensors(_mlp()(), AESTHETICS.find(self.model_dir) / "model.safetensors")
        vector, bias = folded(mlp)
        self._vector = torch.from_numpy(vector.astype(np.float32)).to(device)
        self._bias = torch.tensor(bias, dtype=torch.float32, device=device)

    def __call__(self, embeddings: Any) -> Any:
        """One score for each row, as a tensor where the model is."""
        torch = need("torch", extra="image")
        if self._vector is None:
            self.setup()
        rows = torch.as_tensor(embeddings, dtype=torch.float32, device=self._vector.device)
        with torch.inference_mode():
            return rows @ self._vector + self._bias


def folded(mlp: Any) -> tuple[np.ndarray, float]:
    """What a chain of linear layers comes to: a vector and a bias, in double precision."""
    layers = [layer for layer in mlp.layers if hasattr(layer, "weight")]
    matrix, offset = np.eye(layers[0].in_features), np.zeros(layers[0].in_features)
    for layer in layers:
        weight = layer.weight.detach().double().cpu().numpy()
        matrix, offset = weight @ matrix, weight @ offset + layer.bias.detach().double().cpu().numpy()
    return matrix[0], float(offset[0])


@cache
def _mlp() -> Any:
    nn: Any = need("torch.nn", extra="image")

    class MLP(nn.Module):
        """The head as it was published: five linear layers, with dropout while it was trained."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(768, 1024),
                nn.Dropout(0.2),
                nn.Linear(1024, 128),
                nn.Dropout(0.2),
                nn.Linear(128, 64),
                nn.Dropout(0.1),
                nn.Linear(64, 16),
                nn.Linear(16, 1),
            )

        def forward(self, embeddings: Any) -> Any:
            return self.layers(embeddings)

    return MLP


def __getattr__(name: str) -> Any:  # torch is imported by what needs it
    if name == "MLP":
        return _mlp()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
