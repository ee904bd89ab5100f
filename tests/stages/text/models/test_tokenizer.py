import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from nemo_curator.errors import InputError, StageSetupError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io import JsonlReader, ParquetWriter
from nemo_curator.stages.text.models.tokenizer import TokenizerStage, format_name_with_suffix
from nemo_curator.tasks import DocumentBatch
from tests.tiny_models import tokenizer_folder

TEXTS = ["the cat sat on the mat", "", "the dog", None]


def process(stage, texts=TEXTS, frame=False):
    table = pa.table({"text": pa.array(texts, pa.string()), "id": range(len(texts))})
    stage.setup_on_node()
    stage.setup()
    return stage.process(DocumentBatch(data=table.to_pandas()) if frame else DocumentBatch.from_arrow(table))


@pytest.mark.parametrize("frame", [False, True])
def test_tokens_are_added_without_padding_and_the_text_stays(frame):
    made = process(TokenizerStage(tokenizer_folder(), sort_by_length=False), frame=frame)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder())
    wanted = [tokenizer.encode(text or "") for text in TEXTS]
    assert made.values("input_ids") == wanted
    assert made.values("attention_mask") == [[1] * len(ids) for ids in wanted]
    assert made.values("text") == TEXTS
    assert made.values("id") == [0, 1, 2, 3]


def test_rows_are_ordered_by_their_tokens_and_can_be_put_back():
    made = process(TokenizerStage(tokenizer_folder()))
    assert made.values("_curator_seq_order") == [1, 3, 2, 0] == made.values("id")
    lengths = [len(ids) for ids in made.values("input_ids")]
    assert lengths == sorted(lengths)
    frame = made.to_pandas().sort_values("_curator_seq_order")
    assert frame["id"].tolist() == [0, 1, 2, 3]


def test_long_documents_are_cut_for_the_model_alone():
    text = "the cat sat on the mat " * 100
    stage = TokenizerStage(tokenizer_folder(), sort_by_length=False)
    made = process(stage, [text])
    assert len(made.values("input_ids")[0]) == 64
    assert made.values("text") == [text]
    assert len(process(TokenizerStage(tokenizer_folder(), max_seq_length=7), [text]).values("input_ids")[0]) == 7
    (ids,) = process(TokenizerStage(tokenizer_folder(), max_chars=7), [text]).values("input_ids")
    assert ids == AutoTokenizer.from_pretrained(tokenizer_folder()).encode("the cat")


def test_the_limit_of_the_model_is_taken_where_the_tokenizer_knows_none(tmp_path):
    folder = Path(shutil.copytree(tokenizer_folder(), tmp_path / "model"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = "the cat sat on the mat " * 100
    assert len(process(TokenizerStage(str(folder)), [text]).values("input_ids")[0]) > 600
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 9}))
    assert len(process(TokenizerStage(str(folder)), [text]).values("input_ids")[0]) == 9


def test_an_empty_batch_flows_through():
    made = process(TokenizerStage(tokenizer_folder()), [])
    assert made.num_items == 0
    assert {"input_ids", "attention_mask", "_curator_seq_order"} <= set(made.get_columns())


def test_settings_reach_the_tokenizer():
    stage = TokenizerStage(
        tokenizer_folder(), unk_token=True, padding_side="left", transformers_init_kwargs={"truncation_side": "left"}
    )
    (ids,) = process(stage, ["the cat sat on the mat " * 100]).values("input_ids")
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder(), truncation_side="left")
    assert ids == tokenizer.encode("the cat sat on the mat " * 100, truncation=True)
    assert "secret" not in repr(TokenizerStage("m", hf_token="secret"))


def test_a_stage_is_named_after_its_model():
    assert TokenizerStage("org/My-Model").name == "my_model_tokenizer"
    assert format_name_with_suffix("a/B-c/", "_model") == "b_c_model"


def test_what_is_missing_is_said():
    with pytest.raises(StageSetupError, match="model_tokenizer: call setup before process"):
        TokenizerStage("model").process(DocumentBatch(data=pd.DataFrame({"text": ["a"]})))
    with pytest.raises(InputError, match=r"there is no folder '\./model'"):
        TokenizerStage("./model").setup_on_node()


def test_tokens_travel_through_a_pipeline(tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS[:3]))
    stages = [
        JsonlReader(str(tmp_path / "in.jsonl")),
        TokenizerStage(tokenizer_folder(), hf_token="secret"),
        ParquetWriter(str(tmp_path / "out")),
    ]
    (task,) = Pipeline("tokens", stages=stages).run(checkpoint_path=str(tmp_path / "state"))
    assert len(pd.read_parquet(task.data[0])["input_ids"][2]) > 5
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"secret" in path.read_bytes() for path in kept)
