"""Every shipped configuration runs, on real documents and on a few whose verdict is known."""

import gzip
import json
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.config.load import FOLDER, load_config
from nemo_curator.config.run import create_pipeline_from_yaml
from nemo_curator.ledger.fingerprint import describe_stage
from nemo_curator.stages.text import recipes
from tests.tiny_models import fasttext_model, sentencepiece_model

REAL = Path(__file__).parents[3] / "shared" / "data" / "text" / "jsonl"
RECIPES = {
    "c4": recipes.c4,
    "fineweb": recipes.fineweb,
    "gopher": lambda text_field: [*recipes.gopher_repetition(text_field), *recipes.gopher_quality(text_field)],
    "heuristic_filter_english_pipeline": recipes.heuristic_english,
    "heuristic_filter_non_english_pipeline": recipes.heuristic_non_english,
}
OF_MODELS = {"code_filter_pipeline", "fasttext_filter_pipeline"}
OF_WORKFLOWS = {f"{kind}_deduplication_pipeline" for kind in ("exact", "fuzzy", "semantic")}
COMMENT = "    # the cat sat on the mat and the dog sat on the log\n"
CODE = f'def the_cat(mat):\n{COMMENT}    the = "the cat sat on the mat and the dog sat on the log"\n\n    return the\n'


def pipeline_of(name, **values):
    overrides = [f"{key}={value}" for key, value in values.items()]
    return create_pipeline_from_yaml(load_config(FOLDER / "text" / f"{name}.yaml", overrides), log_config=False)


def run(name, folder, **values):
    pipeline = pipeline_of(name, input_path=folder / "in", output_path=folder / "out", **values)
    pipeline.run()
    files = sorted((folder / "out").glob("*.jsonl"))
    return pipeline.last_run, [json.loads(line) for path in files for line in path.read_text().split("\n")[:-1]]


def write(folder, texts, field="text"):
    (folder / "in").mkdir()
    rows = [json.dumps({"n": number, field: text}) for number, text in enumerate(texts)]
    (folder / "in" / "documents.jsonl").write_text("\n".join(rows) + "\n")


def test_every_file_of_the_package_is_tested_here():
    assert {path.stem for path in (FOLDER / "text").glob("*.yaml")} == {*RECIPES, *OF_MODELS, *OF_WORKFLOWS}


@pytest.mark.parametrize("name", RECIPES)
def test_the_file_says_what_the_recipe_says(name):
    pipeline = pipeline_of(name, input_path="in", output_path="out", text_field="body")
    written = [describe_stage(stage) for stage in pipeline.stages[1:-1]]
    assert written == [describe_stage(stage) for stage in RECIPES[name](text_field="body")]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.skipif(not REAL.exists(), reason=f"the real documents are not at {REAL}")
def test_a_cascade_judges_real_documents_as_its_filters_judge_each(name, tmp_path):
    (tmp_path / "in").mkdir()
    with gzip.open(REAL / "cc2019_multilingual_cc_licensed.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [{"n": number, "text": row["text"]} for number, row in enumerate(rows)]
    (tmp_path / "in" / "web.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    account, kept = run(name, tmp_path)
    assert 0 < len(kept) < len(rows)
    assert sum(account.dropped().values()) == len(rows) - len(kept)
    if name not in ("c4", "fineweb"):  # those change the texts on the way
        filters = [one for stage in RECIPES[name](text_field="text") for one in stage.filters]
        passing = [
            row["n"] for row in rows[:200] if all(one.keep_document(one.score_document(row["text"])) for one in filters)
        ]
        assert [row["n"] for row in kept if row["n"] < 200] == passing


@pytest.mark.parametrize(
    ("overrides", "dropped", "left"),
    [
        ({}, {"python_comment_ratio": 2, "num_lines": 1, "tokenizer_fertility": 1}, []),
        ({"stages.3.filter_obj.min_char_to_token_ratio": 1}, {"python_comment_ratio": 2, "num_lines": 1}, [0]),
        ({"stages.2.filter_obj.min_lines": 9}, {"python_comment_ratio": 2, "num_lines": 2}, []),
    ],
)
def test_the_cascade_for_code_keeps_python_with_comments(tmp_path, overrides, dropped, left):
    write(tmp_path, [CODE, CODE.replace(COMMENT, ""), "x = 1  # one\n", "def f(:\n" * 9])
    account, kept = run("code_filter_pipeline", tmp_path, tokenizer_path=sentencepiece_model(), **overrides)
    assert account.dropped() == dropped
    assert [row["n"] for row in kept] == left


def test_the_cascade_for_fasttext_keeps_more_of_what_its_model_calls_good(tmp_path):
    texts = [f"{kind} w{number}" for number in range(200) for kind in ("good good fine", "bad")]
    write(tmp_path, texts, field="body")
    model = fasttext_model()
    values = {"lang_id_model_path": model, "quality_model_path": model, "text_field": "body"}
    account, kept = run("fasttext_filter_pipeline", tmp_path, **values)
    good = sum(row["body"].startswith("good") for row in kept)
    assert good > 1.5 * (len(kept) - good) > 0
    assert account.dropped() == {"fasttext_quality_filter": len(texts) - len(kept)}
    assert {row["language"].split("'")[1] for row in kept} <= {"hq", "cc", "eng_Latn"}


def test_exact_duplicates_are_removed_as_the_file_says(tmp_path):
    write(tmp_path, ["A b", "a  B", "c", "A b"], field="body")
    values = {"text_field": "body", "normalize": "[case, whitespace]", "keep": "{column: n, descending: true}"}
    workflow = pipeline_of(
        "exact_deduplication_pipeline", input_path=tmp_path / "in", output_path=tmp_path / "out", **values
    )
    result = workflow.run(executor=LocalExecutor(num_workers=0))
    assert result.metadata["num_duplicates"] == 2
    kept = (tmp_path / "out" / "deduplicated" / "documents.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in kept] == [2, 3]


def test_near_duplicates_are_removed_as_the_file_says(tmp_path):
    sentence = "It was a bright cold day in April, and the clocks were striking thirteen as he came in. "
    write(tmp_path, [sentence * 3, "something else", sentence * 4, "anything else"], field="body")
    places = {name: tmp_path / name for name in ("in", "cache", "out")}
    given = {"input_path": places["in"], "cache_path": places["cache"], "output_path": places["out"]}
    workflow = pipeline_of("fuzzy_deduplication_pipeline", **given, text_field="body", keep="longest", threshold=0.9)
    assert workflow.run(executor=LocalExecutor(num_workers=0)).metadata["num_duplicates"] == 1
    kept = (tmp_path / "out" / "deduplicated" / "documents.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in kept] == [1, 2, 3]
