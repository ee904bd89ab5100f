"""How likely an image is not safe for work, told from its CLIP embedding."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from nemo_curator.errors import need
from nemo_curator.models.base import ModelInterface
from nemo_curator.models.weights import ZippedModel, load_tensors

NSFW = ZippedModel(
    "laion/clip-autokeras-binary-nsfw",
    "https://github.com/LAION-AI/CLIP-based-NSFW-Detector/files/10250461/clip_autokeras_binary_nsfw.zip",
    "clip_autokeras_binary_nsfw.pth",
)


class NSFWScorer(ModelInterface):
    """Give the probability that an image is not safe for work, by embeddings of CLIP ViT-L/14 that have length one.

    The weights are in `laion/clip-autokeras-binary-nsfw` within `model_dir`, or in the file `weights_path`. Nothing
    but tensors is read from them.
    """

    dimensions = 768

    def __init__(self, model_dir: str | None = None, weights_path: str | None = None):
        self.model_dir = model_dir
        self.weights_path = weights_path
        self._model: Any = None

    @property
    def model_id_names(self) -> list[str]:
        return [NSFW.id]

    @classmethod
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Bring the weights into their folder, unless they are there."""
        NSFW.fetch(model_dir)

    def setup(self) -> None:
        torch = need("torch", extra="image")
        path = Path(self.weights_path).expanduser() if self.weights_path else NSFW.find(self.model_dir)
        self._model = load_tensors(_classes()["NSFWModel"](), path).to("cuda" if torch.cuda.is_available() else "cpu")

    def __call__(self, embeddings: Any) -> Any:
        """One probability for each row, as a tensor where the model is."""
        torch = need("torch", extra="image")
        if self._model is None:
            self.setup()
        rows = torch.as_tensor(embeddings, dtype=torch.float32, device=self._model.norm.mean.device)
        with torch.inference_mode():
            return self._model(rows).squeeze(1)


@cache
def _classes() -> dict[str, Any]:
    torch = need("torch", extra="image")
    nn: Any = torch.nn

    class Normalization(nn.Module):
        """Embeddings less their mean, by the root of their variance; both are stored with the weights."""

        def __init__(self, shape: list[int]) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(shape))
            self.register_buffer("variance", torch.ones(shape))

        def forward(self, embeddings: Any) -> Any:
            return (embeddings - self.mean) / self.variance.sqrt()

    class NSFWModel(nn.Module):
        """Four layers on the normalised embedding; the last one gives the probability."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = Normalization([768])
            self.linear_1 = nn.Linear(768, 64)
            self.linear_2 = nn.Linear(64, 512)
            self.linear_3 = nn.Linear(512, 256)
            self.linear_4 = nn.Linear(256, 1)

        def forward(self, embeddings: Any) -> Any:
            rows = self.norm(embeddings)
            for layer in (self.linear_1, self.linear_2, self.linear_3):
                rows = torch.relu(layer(rows))
            return torch.sigmoid(self.linear_4(rows))

    return {"Normalization": Normalization, "NSFWModel": NSFWModel}


def __getattr__(name: str) -> Any:  # torch is imported by what needs it
    if name in ("Normalization", "NSFWModel"):
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
