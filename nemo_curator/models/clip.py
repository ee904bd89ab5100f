"""CLIP and its relatives: images and texts as vectors of one space."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nemo_curator.errors import InputError, need
from nemo_curator.ledger import pulse
from nemo_curator.models.aesthetics import AestheticScorer
from nemo_curator.models.base import ModelInterface
from nemo_curator.models.pixels import PixelRecipe, normalised, problem_of, read_pixel_recipe
from nemo_curator.models.weights import HubModel
from nemo_curator.stages.text.models.encoder import load_tokenizer, transformers

CLIP_ID, CLIP_REVISION = "openai/clip-vit-large-patch14", "32bd642"
_WANTED = ("config.json", "p*processor_config.json", "*.safetensors")
_OF_TEXTS, _OF_IMAGES = ("text_model", "text_projection"), ("vision_model", "visual_projection")
_KINDS = {"clip", "siglip", "siglip2"}


def image_model(model_id: str = CLIP_ID, revision: str | None = None) -> HubModel:
    """What to fetch of CLIP or SigLIP; of the CLIP that is the default, the revision that the scores were made for."""
    return HubModel(model_id, _WANTED, revision or (CLIP_REVISION if model_id == CLIP_ID else None))


class CLIPImageEmbeddings(ModelInterface):
    """Turn images, and texts, into vectors of length one in single precision.

    `model_dir` has the folder `openai/clip-vit-large-patch14`, as it is on the hub, or that of another CLIP or SigLIP
    that `model_id` names; it may be such a folder itself. The halves for images and for texts are loaded when they are
    needed. A processor that computes in bfloat16 does; others take single precision.
    """

    def __init__(self, model_dir: str | None = None, model_id: str = CLIP_ID, revision: str | None = None):
        self.model_dir = model_dir
        self.model = image_model(model_id, revision)
        self._images: Any = None
        self._texts: Any = None
        self._tokenizer: Any = None
        self._recipe = PixelRecipe()

    @property
    def model_id_names(self) -> list[str]:
        return [self.model.id]

    @classmethod
    def download_weights_on_node(
        cls, model_dir: str | None, model_id: str = CLIP_ID, revision: str | None = None
    ) -> None:
        """Bring the model into its folder, unless it is there."""
        image_model(model_id, revision).fetch(model_dir)

    def setup(self) -> None:
        """Load the half for images."""
        folder = self.model.find(self.model_dir)
        self._recipe = read_pixel_recipe(folder)
        self._images = _load(folder, without=_OF_TEXTS)

    def __call__(self, images: np.ndarray | Sequence[np.ndarray]) -> Any:
        """One row for each image, as a tensor where the model is. Images are arrays of height, width and RGB, 8 bits.

        Each image has a size of its own, or one array holds all of them.
        """
        if not len(images):
            raise ValueError("no images to embed; wanted at least one")
        if self._images is None:
            self.setup()
        return self.embed(self._prepared(images))

    @property
    def decode_size(self) -> int | None:
        """How large a JPEG has to be decoded at least, for an embedding that is the same to five digits; None for all.

        At twice the size that the model sees, pixels differ less than after storing a JPEG of quality 95 again.
        """
        return 2 * self._recipe.side or None

    @property
    def threads(self) -> int:
        """How many threads prepare images: as many as compute."""
        return need("torch", extra="image").get_num_threads()

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Scale and cut an array of height, width and RGB, 8 bits, to what the model sees."""
        return self._recipe.cut(_checked(image))

    def embed(self, prepared: Sequence[np.ndarray]) -> Any:
        """One row for each image that `prepare` made, as a tensor where the model is."""
        torch = need("torch", extra="image")
        cut = torch.from_numpy(np.stack(prepared)).to(self._images.device)
        return self.embed_pixels(normalised(cut, torch.from_numpy(self._recipe.levels).to(cut.device)))

    def embed_pixels(self, pixels: Any) -> Any:
        """One row for each image that is the input of the model already: channels, rows, columns, single precision."""
        torch = need("torch", extra="image")
        pulse.beat()
        with torch.inference_mode(), _precision(self._images.device.type):
            return _unit_rows(self._images.get_image_features(pixel_values=pixels))

    def encode_text(self, texts: Sequence[str]) -> Any:
        """One row for each text, comparable with those of images. What a text has beyond the model's limit is cut."""
        torch = need("torch", extra="image")
        if not len(texts):
            raise ValueError("no texts to encode; wanted at least one")
        if self._texts is None:
            folder = self.model.find(self.model_dir)
            self._tokenizer = load_tokenizer(str(folder))
            self._texts = _load(folder, without=_OF_IMAGES)
        config = self._texts.config
        tokens = self._tokenizer(
            list(texts),
            # SigLIP was trained on texts that were all filled up to one length, and has no mask
            padding=True if config.model_type == "clip" else "max_length",
            truncation=True,
            max_length=config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        names = ["input_ids", "attention_mask"] if config.model_type == "clip" else ["input_ids"]
        given = {name: tokens[name].to(self._texts.device) for name in names}
        with torch.inference_mode(), _precision(self._texts.device.type):
            return _unit_rows(self._texts.get_text_features(**given))

    def _prepared(self, images: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        threads = min(self.threads, len(images))
        if threads == 1:
            return [self.prepare(image) for image in images]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self.prepare, images))


class CLIPAestheticScorer(ModelInterface):
    """Rate images at roughly 1 to 10, as people like them, by CLIP embeddings that it makes itself."""

    def __init__(self, model_dir: str | None = None):
        self.embeddings = CLIPImageEmbeddings(model_dir)
        self.scorer = AestheticScorer(model_dir)

    @property
    def model_id_names(self) -> list[str]:
        return [*self.embeddings.model_id_names, *self.scorer.model_id_names]

    @classmethod
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Bring both models into their folders, unless they are there."""
        CLIPImageEmbeddings.download_weights_on_node(model_dir)
        AestheticScorer.download_weights_on_node(model_dir)

    def setup(self) -> None:
        self.embeddings.setup()
        self.scorer.setup()

    def __call__(self, images: np.ndarray | Sequence[np.ndarray]) -> Any:
        """One score for each image, as a tensor."""
        return self.scorer(self.embeddings(images))


def _checked(image: Any) -> np.ndarray:
    if problem := problem_of(image):
        raise InputError(f"an image {problem}")
    return np.ascontiguousarray(image)


def _load(folder: Path, without: tuple[str, ...]) -> Any:
    """Load one half of a model in single precision, on a GPU where there is one."""
    torch = need("torch", extra="image")
    damaged = need("safetensors", extra="image").SafetensorError
    try:
        model, report = transformers().AutoModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, damaged) as error:
        raise InputError(f"{folder} holds no model that can be loaded: {error}") from error
    if model.config.model_type not in _KINDS:
        raise InputError(f"{folder} holds a {model.config.model_type} model; wanted one of {sorted(_KINDS)}")
    if lacking := sorted(report["missing_keys"]):  # transformers would make them up
        raise InputError(
            f"the weights in {folder} lack {', '.join(lacking[:3])}, {len(lacking)} in all: fetch them again"
        )
    for name in without:
        if hasattr(model, name):
            delattr(model, name)
    return model.float().eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _unit_rows(features: Any) -> Any:
    # transformers 5 wraps what 4 returned
    rows = getattr(features, "pooler_output", features).float()
    return rows / rows.norm(dim=-1, keepdim=True)


def _precision(device: str) -> Any:
    torch = need("torch", extra="image")
    return torch.autocast(device, torch.bfloat16, enabled=_has_bfloat16(device))


@cache
def _has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is faster than single precision there. On a CPU without instructions for it, it is slower."""
    if device == "cuda":
        return bool(need("torch", extra="image").cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
