import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.json_texts import texts_of

TEXTS = st.text(st.characters(codec="utf-8"), max_size=90) | st.text('\\n"\\/tub0é\t\n\r', max_size=70)

NO_NUMBERS = [b'"\\u12g4"', b'"\\u12"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\u0041"', b'"\\ud800\\ud800"']


def read(values):
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    found = texts_of(np.frombuffer(b"".join(values), np.uint8), ends)
    if found is None:
        return None
    data, offsets = found
    return [data[start:stop].tobytes() for start, stop in pairwise(offsets)]


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.booleans())
def test_texts_come_out_of_json_as_they_went_in(texts, ascii_only):
    written = [json.dumps(text, ensure_ascii=ascii_only).encode() for text in texts]
    assert read(written) == [text.encode() for text in texts]
    assert read([one.replace(b"/", b"\\/") for one in written]) == [text.encode() for text in texts]


@pytest.mark.parametrize(
    "value",
    [b"null", b"12", b'"', b'"\\x"', b'"\\q"', b'"\\', b'"\\"', b'"a\nb"', b'["a"]', b'"a"b"', *NO_NUMBERS],
)
def test_what_is_no_text_is_not_read(value):
    assert read([value]) is None
    assert read([b'"before"', value]) is None
