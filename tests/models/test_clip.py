import shutil

import numpy as np
import pytest
import torch

from nemo_curator.errors import InputError
from nemo_curator.models.clip import CLIP_ID, CLIPAestheticScorer, CLIPImageEmbeddings
from tests.models.photos import SHAPES, needs_photos, noise, photos
from tests.tiny_models import clip_folder, image_models_folder, sentence_model_folder, siglip_folder


def clip_place():
    return f"{image_models_folder()}/{CLIP_ID}"


def by_transformers(folder, images, texts, kind="CLIP"):
    """Rows of length one, made by transformers alone."""
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    processor = {"CLIP": CLIPImageProcessorPil, "SigLIP": SiglipImageProcessorPil}[kind].from_pretrained(folder)
    model = {"CLIP": transformers.CLIPModel, "SigLIP": transformers.SiglipModel}[kind].from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pixels = processor(images, return_tensors="pt", input_data_format="channels_last")
    tokens = tokenizer(
        texts,
        padding=True if kind == "CLIP" else "max_length",
        truncation=True,
        max_length=12,
        return_tensors="pt",
        return_token_type_ids=False,
    )
    if kind == "SigLIP":
        del tokens["attention_mask"]
    with torch.inference_mode():
        rows = model.get_image_features(**pixels), model.get_text_features(**tokens)
    return [torch.nn.functional.normalize(getattr(one, "pooler_output", one)).numpy() for one in rows]


TEXTS = ["the cat", "the dog sat on the log", "a text that is longer than twelve tokens " * 3]


@needs_photos
@pytest.mark.parametrize(("place", "kind"), [(clip_place, "CLIP"), (siglip_folder, "SigLIP")])
def test_photos_and_texts_become_what_transformers_makes_of_them(place, kind):
    folder = place()
    images = [*photos(6), noise(1, 20), noise(20, 1), noise(1, 1)]
    wanted_images, wanted_texts = by_transformers(folder, images, TEXTS, kind)
    model = CLIPImageEmbeddings(folder)
    model.setup()
    assert np.abs(model(images).numpy() - wanted_images).max() < 1e-6
    assert np.abs(model.encode_text(TEXTS).numpy() - wanted_texts).max() < 1e-6


def test_embeddings_are_unit_rows_in_single_precision_and_the_same_every_time():
    images = [noise(*shape) for shape in SHAPES]
    rows = [CLIPImageEmbeddings(image_models_folder())(images).numpy() for _ in range(2)]
    assert (rows[0].shape, rows[0].dtype) == ((len(SHAPES), 768), np.float32)
    assert np.allclose(np.linalg.norm(rows[0], axis=1), 1, atol=1e-6)
    assert np.array_equal(*rows)


def test_threads_and_one_array_of_all_images_change_nothing():
    images = np.stack([noise(40, 50, seed) for seed in range(5)])
    model = CLIPImageEmbeddings(image_models_folder())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = model(images).numpy()
        torch.set_num_threads(2)
        assert np.allclose(model(list(images)).numpy(), alone, atol=1e-6)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("call", ["__call__", "encode_text"])
def test_nothing_to_embed_is_an_error(call):
    with pytest.raises(ValueError, match="wanted at least one"):
        getattr(CLIPImageEmbeddings(image_models_folder()), call)([])


def test_an_image_without_three_channels_is_an_error():
    with pytest.raises(InputError, match=r"an image is uint8 \(2, 2, 1\)"):
        CLIPImageEmbeddings(image_models_folder())([noise(2, 2)[..., :1]])


def test_another_model_is_named_or_is_the_folder_itself(tmp_path):
    clip_folder(tmp_path / "mine" / "clip", 24)
    for model in (CLIPImageEmbeddings(str(tmp_path), "mine/clip"), CLIPImageEmbeddings(str(tmp_path / "mine/clip"))):
        assert model([noise(9, 9)]).shape == (1, 24)
    assert model.model_id_names == [CLIP_ID]


def test_a_model_of_another_kind_is_an_error(tmp_path):
    place = shutil.copytree(sentence_model_folder(), tmp_path / "texts")
    shutil.copy(f"{clip_place()}/preprocessor_config.json", place)
    with pytest.raises(InputError, match="holds a bert model; wanted one of"):
        CLIPImageEmbeddings(str(place)).setup()


def test_weights_that_are_damaged_are_an_error(tmp_path):
    place = shutil.copytree(clip_place(), tmp_path / "clip")
    (place / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="holds no model that can be loaded"):
        CLIPImageEmbeddings(str(place)).setup()


def test_weights_that_lack_some_are_an_error_and_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    place = shutil.copytree(clip_place(), tmp_path / "clip")
    tensors = load_file(place / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack visual_projection.weight, 1 in all"):
        CLIPImageEmbeddings(str(place)).setup()


def test_the_scorer_of_images_is_the_head_on_their_embeddings():
    images = [noise(30, 40, seed) for seed in range(3)]
    scorer = CLIPAestheticScorer(image_models_folder())
    scorer.setup()
    assert torch.equal(scorer(images), scorer.scorer(scorer.embeddings(images)))
    assert scorer.model_id_names == [CLIP_ID, "ttj/sac-logos-ava1-l14-linearMSE"]
