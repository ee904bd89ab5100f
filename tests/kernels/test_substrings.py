import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels import substrings
from nemo_curator.kernels.substrings import PERIOD, ROW, START, STOP, WINDOWS

PIECES = st.one_of(
    st.binary(max_size=40).map(lambda data: bytes(b"ab"[byte & 1] for byte in data)),
    st.tuples(st.sampled_from([b"a", b"ab", b"abb", b"abcab", b"aabaabb"]), st.integers(1, 60)).map(
        lambda pair: pair[0] * pair[1]
    ),
    st.sampled_from([b"the same few words again", b"words again and others", b"-" * 25]),
)
CORPORA = st.lists(st.lists(PIECES, max_size=5).map(b"".join), max_size=5)


def packed(texts):
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), offsets


def anchors_of(texts, min_length):
    return substrings.find_anchors(*packed(texts), min_length)


def windows_of(places, min_length):
    """All windows that some places stand for, as (text, start)."""
    found = []
    for row, start, windows, period, stop in places.tolist():
        step = period or stop
        found += [
            (row, at) for first in range(start, start + windows) for at in range(first, stop - min_length + 1, step)
        ]
    return found


def spans_of(texts, places, min_length, keep_first, draw):
    """What `find_repeats` finds of the windows in some places."""
    data, offsets = packed(texts)
    places = places[draw.permutation(len(places))]
    lengths = places[:, WINDOWS] + min_length - 1
    ends = np.cumsum([0, *lengths]).astype(np.int64)
    contexts = substrings.gather(data, offsets[places[:, ROW]] + places[:, START], ends)
    order = np.lexsort((places[:, START], places[:, ROW]))
    rows = np.arange(len(places))
    return substrings.find_repeats(contexts, ends, places, rows, order, min_length, keep_first)


def covered(texts, spans):
    marks = [bytearray(len(text)) for text in texts]
    for row, start, stop in spans:
        marks[row][start:stop] = b"\1" * (stop - start)
    return marks


def wanted(texts, min_length, keep_first):
    """The definition: windows with an equal one earlier, or anywhere, that they do not overlap."""
    places = {}
    for row, text in enumerate(texts):
        for at in range(len(text) - min_length + 1):
            places.setdefault(text[at : at + min_length], []).append((row, at))
    spans = []
    for equal in places.values():
        for row, at in equal:
            others = [place for place in equal if place[0] != row or abs(place[1] - at) >= min_length]
            if any(place < (row, at) for place in others) or (others and not keep_first):
                spans.append((row, at, at + min_length))
    return covered(texts, spans)


@settings(deadline=None, max_examples=150)
@given(CORPORA, st.integers(8, 40), st.booleans(), st.randoms(use_true_random=False))
def test_the_spans_are_those_of_the_definition(texts, min_length, keep_first, draw):
    keys, places = anchors_of(texts, min_length)
    assert len(keys) == len(places)
    order = np.random.default_rng(draw.randrange(2**32))
    spans = spans_of(texts, places, min_length, keep_first, order)
    assert covered(texts, spans) == wanted(texts, min_length, keep_first)


@settings(deadline=None, max_examples=60)
@given(CORPORA, st.integers(8, 40))
def test_every_window_is_in_one_place_and_equal_ones_have_equal_keys(texts, min_length):
    keys, places = anchors_of(texts, min_length)
    windows = windows_of(places, min_length)
    assert sorted(windows) == [(row, at) for row, text in enumerate(texts) for at in range(len(text) - min_length + 1)]
    keys_of = {}
    for key, place in zip(keys.tolist(), places):
        for row, at in windows_of(place[None], min_length):
            assert keys_of.setdefault(texts[row][at : at + min_length], key) == key


def test_nothing_is_missed_where_a_text_is_worked_through_in_parts():
    draw = random.Random(1)
    passage = bytes(draw.choices(b"abcdefgh", k=900))
    noise = [bytes(draw.choices(range(256), k=size)) for size in (32_400, 65_000, 7)]
    text = noise[0] + passage + noise[1] + passage + noise[2] + b"xyz" * 30_000
    spans = spans_of([text], anchors_of([text], 100)[1], 100, True, np.random.default_rng(0))
    run = len(noise[0]) + 2 * len(passage) + len(noise[1]) + 7
    second = run - 7 - len(passage)
    found = covered([text], spans)[0]
    assert found.count(1) == len(passage) + 90_000 - 102
    assert all(found[second : second + len(passage)])
    assert all(found[run + 102 :])


@pytest.mark.parametrize("unit", [b"a", b"ab", b"0123456789", b"-=", b"x" * 40 + b"y"])
def test_a_run_of_one_period_stands_in_few_places(unit):
    text = (unit * 200_000)[:200_000]
    keys, places = anchors_of([text], 200)
    assert len(keys) < 20
    assert set(places[:, PERIOD]) == {len(unit)}
    assert places[-1, STOP] == len(text)


@pytest.mark.parametrize(
    "text",
    [
        b"a line that is there again and again, a thousand times and more\n" * 3_000,
        b"".join(b"%d %s\n" % (number, b"-" * 150) for number in range(1_500)),
    ],
)
def test_what_is_to_be_compared_of_a_text_stays_a_few_times_its_size(text):
    _, places = anchors_of([text], 200)
    assert (places[:, WINDOWS] + 199).sum() < 8 * len(text)


def test_texts_that_hash_alike_modulo_a_power_of_two_cost_no_more():
    text = b"a"
    for _ in range(16):
        text += text.translate(bytes.maketrans(b"ab", b"ba"))
    hashes = substrings.hash_windows(*packed([text]), 2048)
    different = {text[at : at + 2048] for at in range(len(text) - 2047)}
    assert len(set(hashes.tolist())) == len(different)


@settings(deadline=None, max_examples=60)
@given(CORPORA, st.integers(8, 20), st.sampled_from([1, 16, 4096]))
def test_windows_are_trimmed_to_those_that_come_again(texts, min_length, room):
    data, offsets = packed(texts)
    hashes = substrings.hash_windows(data, offsets, min_length)
    marks = substrings.mark_windows(hashes, np.zeros(room, np.uint8))
    bounds = substrings.trim_windows(hashes, offsets, min_length, marks)
    windows = [text[at : at + min_length] for text in texts for at in range(len(text) - min_length + 1)]
    for text, (first, last) in zip(texts, bounds.tolist(), strict=True):
        again = [at for at in range(len(text) - min_length + 1) if windows.count(text[at : at + min_length]) > 1]
        assert not again or (first <= again[0] and last >= again[-1])
