import hashlib
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.deduplication.hashing import HASH_METHODS, check_hashing, hash_texts, normalized
from nemo_curator.tasks.text_column import TextColumn


@settings(deadline=None)
@given(st.lists(st.text() | st.none()), st.sampled_from(["md5", "sha256"]))
def test_a_hash_is_the_first_128_bits_of_the_digest_of_the_utf8(texts, method):
    texts = [None if text is None else text.encode("utf-8", "ignore").decode() for text in texts]
    wanted = [hashlib.new(method, (text or "").encode()).digest()[:16] for text in texts]
    column = TextColumn(pa.array(["before", *texts], pa.string())[1:])
    assert [row.tobytes() for row in hash_texts(column, method)] == wanted


def test_xxh3_is_that_of_the_xxhash_package():
    xxhash = pytest.importorskip("xxhash")
    assert hash_texts(TextColumn(["é", ""]), "xxh3_128")[0].tobytes() == xxhash.xxh3_128_digest("é".encode())


@pytest.mark.parametrize("method", HASH_METHODS)
def test_equal_texts_alone_have_equal_hashes(method):
    if method == "xxh3_128":
        pytest.importorskip("xxhash")
    one, other, same = map(tuple, hash_texts(TextColumn(["a", "b", "a"]), method).tolist())
    assert one == same != other


@pytest.mark.parametrize(
    ("names", "one", "other"),
    [
        (["case"], "Straße", "STRASSE"),
        (["whitespace"], " a\tb\n\n c ", "a b c"),
        (["nfc"], "e\u0301", "\u00e9"),
        (["nfkc"], "ﬁ①", "fi1"),
        (["case", "whitespace", "nfkc"], "Ｆｕｌｌ  Width", "full width"),
        (["nfc", "case"], "\u03aa\u0301", "\u0390"),
    ],
)
def test_texts_that_differ_in_what_is_normalized_are_the_same(names, one, other):
    assert normalized(TextColumn([one]), names).to_pylist() == normalized(TextColumn([other]), names).to_pylist()
    assert normalized(TextColumn([one]), []).to_pylist() == [one]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("crc32", None), "hash_method is 'crc32'; wanted one of"),
        (("md5", ["lower"]), r"normalize names \['lower'\]; wanted any of"),
        (("md5", ["nfc", "nfkc"]), "nfc and nfkc; give one"),
    ],
)
def test_unknown_names_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_hashing(*given)


def test_without_xxhash_the_error_says_how_to_install_it():
    code = (
        "import sys; sys.modules['xxhash'] = None\n"
        "from nemo_curator.stages.deduplication.hashing import digest_of\n"
        "digest_of('xxh3_128')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "xxhash is not installed; get it with: pip install 'curator-ray[text]'" in done.stderr
