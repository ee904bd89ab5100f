import copy
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from nemo_curator.errors import InputError
from nemo_curator.stages.text.models.encoder import CHARS_AT_ONCE, Encoder, load_tokenizer
from tests.tiny_models import tokenizer_folder


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(tokenizer_folder())


class Slow:
    """A tokenizer of transformers that is not compiled: one text at a time."""

    is_fast = False

    def __init__(self, inner):
        self.encode = inner.encode


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text() | st.just("the cat sat on the mat"), max_size=5), special=st.booleans())
def test_tokens_are_those_that_transformers_gives(texts, special):
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder())
    wanted = [tokenizer.encode(text, add_special_tokens=special) for text in texts]
    for one in (Encoder(tokenizer, special=special), Encoder(Slow(tokenizer), special=special)):
        assert list(one.ids(texts)) == wanted
        assert one.counts(texts) == [len(ids) for ids in wanted]


@pytest.mark.parametrize("kind", [lambda tokenizer: tokenizer, Slow])
def test_documents_are_cut_and_keep_their_special_tokens(tokenizer, kind):
    text = "the cat sat on the mat and on"
    (ids,) = Encoder(kind(tokenizer), max_length=5).ids([text])
    assert ids == tokenizer.encode(text, truncation=True, max_length=5)
    assert (ids[0], ids[-1], len(ids)) == (1, 2, 5)


def test_what_others_have_set_does_not_matter_and_stays_set(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.pad_token = "<unk>"
    other(["the cat"], padding="max_length", truncation=True, max_length=3)
    assert other.backend_tokenizer.padding
    assert list(Encoder(other).ids(["the cat sat"])) == [tokenizer.encode("the cat sat")]
    assert other.backend_tokenizer.padding


def test_any_object_that_encodes_will_do():
    class Letters:
        def encode(self, text):
            return list(text.encode())

    assert list(Encoder(Letters()).ids(["ab", ""])) == [[97, 98], []]
    assert Encoder(Letters()).counts(["ab", ""]) == [2, 0]


def test_many_and_long_texts_are_taken_in_pieces(tokenizer):
    texts = ["the cat", "x" * (CHARS_AT_ONCE + 1), *["sat"] * 2500]
    one = pickle.loads(pickle.dumps(Encoder(tokenizer)))
    assert one.counts(texts) == [len(ids) for ids in one.ids(texts, at_once=7)]
    assert len(one.counts(texts)) == 2502


@pytest.mark.parametrize("path", ["./nowhere", "/no/where", "a/b/c"])
def test_a_folder_that_is_not_there_is_named_at_once(path):
    with pytest.raises(InputError, match=f"there is no folder '{path}'"):
        load_tokenizer(path, may_download=True)


def test_a_model_that_was_never_fetched_is_named():
    with pytest.raises(InputError, match="no tokenizer 'nobody/nothing' can be had; a local folder will do"):
        load_tokenizer("nobody/nothing")


def test_torch_is_not_needed_nor_asked_for():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from nemo_curator.stages.text.models.encoder import Encoder, load_tokenizer\n"
        f"print(Encoder(load_tokenizer({tokenizer_folder()!r})).counts(['the cat']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[4]\n", "")
