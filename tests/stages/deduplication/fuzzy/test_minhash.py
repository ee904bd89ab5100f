import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.stages.deduplication.fuzzy.minhash import GPUMinHash, MinHash
from nemo_curator.tasks.text_column import TextColumn
from tests.kernels.murmur import minhash

TEXTS = ["a text that is long enough for windows", None, "", "short", "é日本語" * 9]


def test_a_series_comes_back_as_a_series_and_an_array_as_an_array():
    signer = GPUMinHash(num_hashes=7, char_ngrams=5)
    array = signer.compute_minhashes(pa.array(TEXTS))
    assert array.type == pa.list_(pa.uint32())
    drawn = signer.generate_seeds(7, 42)
    assert array.to_pylist() == [None if text is None else minhash(text, 5, drawn, 32) for text in TEXTS]
    assert signer.compute_minhashes(TextColumn(TEXTS)).to_pylist() == array.to_pylist()
    series = signer.compute_minhashes(pd.Series(TEXTS, index=list("abcde")))
    assert list(series.index) == list("abcde")
    assert [None if each is None else each.tolist() for each in series] == array.to_pylist()


def test_many_texts_are_signed_in_parts_with_the_same_result():
    signer = GPUMinHash(num_hashes=3, char_ngrams=5, use_64bit_hash=True)
    texts = [f"a text with number {number}" for number in range(2500)]
    found = signer.compute_minhashes(pa.array(texts))
    assert len(found) == 2500
    assert found[2400].as_py() == signer.compute_minhashes(pa.array(texts[2400:2401]))[0].as_py()


def test_seeds_are_pairs():
    assert MinHash.generate_seeds(3, 42)[0].tolist() == [1608637543, 1273642419]
    assert MinHash.generate_seeds(3, 42, 64).dtype == np.uint64
    with pytest.raises(ValueError, match="32 or 64 bits"):
        MinHash.generate_seeds(3, 42, 16)


def test_what_cannot_be_signed_is_said():
    with pytest.raises(TypeError, match="not in a list"):
        GPUMinHash().compute_minhashes(["a"])
    with pytest.raises(TypeError, match="not int64"):
        GPUMinHash().compute_minhashes(pa.array([1]))
    with pytest.raises(ValueError, match="windows of 2 characters"):
        GPUMinHash(char_ngrams=1)
