"""Models are read, and documents judged, as the C++ of fastText does it."""

import gzip
import json
import random
import re
import struct
from contextlib import suppress
from pathlib import Path

import fasttext
import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.text.filters.fasttext.model import load, model_file, read_model
from nemo_curator.tasks.text_column import TextColumn
from tests.tiny_models import fasttext_model, write_fasttext

SHARED = Path(__file__).parents[5] / "../shared/data/text"
LETTERS = "abcdeéß語🙂"
ODD = ["", " ", "</s>", "a </s> b", "__label__a word", "a\tb\rc\x0bd\x0ce\0f", "a\nb", "x" * 5000, "é" * 3000, "\u3000"]


def random_word(chance):
    return "".join(chance.choices(LETTERS, k=chance.randint(1, 6)))


def random_model(path, seed, loss, ngrams, parts, version=12, end=True):
    chance = random.Random(seed)
    words = {"</s>": 1000} if end else {}
    words |= {random_word(chance): chance.randint(1, 500) for _ in range(60)}
    labels = {f"__label__{at}": 100 - at * 7 for at in range(9)}
    bucket, dim = 97, 5
    rows = [[chance.gauss(0, 1) for _ in range(dim)] for _ in range(len(words) + bucket + len(labels))]
    matrix, outputs = rows[: len(words) + bucket], rows[len(words) + bucket :]
    write_fasttext(
        path, words, labels, matrix, outputs, loss=loss, ngrams=ngrams, bucket=bucket, parts=parts, version=version
    )
    known = [*words, "__label__3"]
    return [
        " ".join(
            chance.choice(known) if chance.random() < 0.6 else random_word(chance) for _ in range(chance.randint(1, 30))
        )
        for _ in range(60)
    ]


def agree(path, texts):
    """Compare with the C++, which sees a document as one line that ends where `</s>` stands."""
    reference = fasttext.load_model(str(path))
    made = load(str(path)).top(TextColumn(texts))
    for text, one in zip(texts, made):
        wanted = reference.f.predict(re.sub(r"\n|(?<!\S)</s>(?!\S)", " ", text) + "\n", 1, 0.0, "strict")
        if one is None:
            assert not text.split() or text.split()[0] in ("</s>", "__label__a")
            continue
        (probability, label), *_ = wanted
        assert one[1] == label
        assert one[0] == pytest.approx(probability, abs=1e-5)


@pytest.mark.parametrize("loss", [1, 2, 3, 4])
@pytest.mark.parametrize(("ngrams", "parts"), [(1, (0, 0)), (2, (0, 0)), (3, (2, 4)), (1, (1, 3)), (1, (3, 6))])
def test_labels_and_probabilities_are_those_of_the_original(tmp_path, loss, ngrams, parts):
    texts = random_model(tmp_path / "model.bin", loss + ngrams, loss, ngrams, parts)
    agree(tmp_path / "model.bin", [*texts, *ODD])


def test_a_model_need_not_know_the_end_of_a_line(tmp_path):
    texts = random_model(tmp_path / "model.bin", 1, 3, 2, (2, 3), end=False)
    agree(tmp_path / "model.bin", texts)


def test_old_models_have_no_parts_of_words(tmp_path):
    texts = random_model(tmp_path / "model.bin", 1, 3, 1, (2, 3), version=11)
    agree(tmp_path / "model.bin", texts)


def test_a_compressed_model_is_read_too():
    agree(model_file("lid.176.ftz"), ["hello world", "Das ist gut.\nJa", "天気がとてもよかった", "это хорошо", *ODD])


@pytest.mark.skipif(not SHARED.exists(), reason="the shared documents are not here")
def test_real_pages_are_judged_as_by_the_original():
    with gzip.open(SHARED / "jsonl" / "cc2019_multilingual_cc_licensed.jsonl.gz", "rt") as file:
        texts = [json.loads(line)["text"] for line in file]
    agree(model_file("lid.176.ftz"), [text for text in texts if text.strip()])


def test_a_document_is_read_beyond_a_mark_of_the_end():
    model = load("lid.176.ftz")
    german = "Das Wetter war so schön, dass wir am Fluss entlang gingen."
    assert model.top(TextColumn([f"</s> {german}"])) == model.top(TextColumn([german]))


def test_a_word_is_judged_alike_whatever_came_before_it():
    model = load("lid.176.ftz")
    texts = [f"{word} {other}" for word in ("house", "Haus", "maison") for other in ("und", "and", "et")] * 3
    together = model.top(TextColumn(texts))
    assert together == [model.top(TextColumn([text]))[0] for text in texts]


def test_a_file_that_has_changed_is_read_again(tmp_path):
    path = tmp_path / "model.bin"
    random_model(path, 1, 3, 1, (0, 0))
    assert load(str(path)) is load(str(path))
    first = load(str(path))
    random_model(path, 2, 3, 1, (0, 0))
    assert load(str(path)) is not first


def test_a_file_that_ends_early_is_an_error_wherever_it_ends(tmp_path):
    whole = Path(fasttext_model()).read_bytes()
    for size in range(4, len(whole)):
        (tmp_path / "cut.bin").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut\.bin is "):
            read_model(tmp_path / "cut.bin")


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_an_error_or_a_model_and_never_a_crash(tmp_path, seed):
    chance = random.Random(seed)
    random_model(tmp_path / "model.bin", seed, chance.choice([1, 3]), 2, (2, 4))
    whole = bytearray((tmp_path / "model.bin").read_bytes())
    for _ in range(20):
        damaged = bytearray(whole)
        at = chance.randrange(8, 120)
        damaged[at : at + 4] = struct.pack("<i", chance.choice([-1, 0, 1, 255, 2**31 - 1]))
        (tmp_path / "damaged.bin").write_bytes(damaged)
        with suppress(InputError):
            read_model(tmp_path / "damaged.bin").top(TextColumn(["a b c", "語 🙂"]))


def test_a_model_of_words_alone_is_refused(tmp_path):
    data = bytearray(Path(fasttext_model()).read_bytes())
    data[8 + 7 * 4 : 8 + 8 * 4] = struct.pack("<i", 2)
    (tmp_path / "skipgram.bin").write_bytes(data)
    with pytest.raises(InputError, match="is not a supervised model of fastText"):
        load(str(tmp_path / "skipgram.bin"))
