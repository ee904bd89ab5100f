import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.report import figures
from nemo_curator.report.account import threshold
from nemo_curator.report.charts import MOST_BARS, rebinned

SCORES = st.floats(-1e9, 1e9, allow_nan=False) | st.floats(0, 1) | st.integers(0, 100).map(float)


@st.composite
def buckets(draw):
    edges = sorted(draw(st.lists(SCORES, min_size=2, max_size=40)))
    counts = st.integers(0, 10**6)
    return [(low, high, draw(counts), draw(counts)) for low, high in zip(edges[::2], edges[1::2])]


@given(buckets())
def test_bars_hold_all_rows_of_the_buckets(found):
    axis, bars = rebinned(found)
    assert 1 <= len(bars) <= MOST_BARS
    for side in (0, 1):
        assert math.isclose(sum(bar[side] for bar in bars), sum(one[2 + side] for one in found), abs_tol=1e-6)
        assert all(bar[side] >= 0 for bar in bars)
    assert len(axis.ticks()) <= 12
    places = [axis.at(low) for low, *_ in found]
    assert places == sorted(places)
    assert 0 <= min(places) <= max(places) <= 1


def test_whole_numbers_have_a_bar_each():
    axis, bars = rebinned([(float(number), number + 0.125, number, 0) for number in range(8)])
    assert bars == [(number, 0) for number in range(8)]
    assert not axis.unit


def test_a_bucket_across_the_threshold_is_drawn_on_both_sides_of_it():
    found = [(0.0, 1.0, 0, 10), (1.0, 2.0, 5, 5), (2.0, 3.0, 10, 0)]
    _, bars = rebinned(found, ((1.5, 3.0), (0.0, 1.4)))
    assert bars == [(0, 10), (5, 5), (10, 0)]
    fine = [(0.0, 0.1, 0, 1), *found[1:]]
    _, bars = rebinned(fine, ((1.5, 3.0), (0.0, 1.4)))
    axis, _ = rebinned(fine)
    assert next(place for place, bar in enumerate(bars) if bar[0]) == int(axis.at(1.5) * len(bars))


def test_the_axis_is_logarithmic_where_most_scores_are_at_one_end():
    skewed = [(float(10**power), float(10 ** (power + 1)), 10 ** (6 - power), 0) for power in range(6)]
    axis, _ = rebinned([(0.0, 0.0, 5, 0), *skewed])
    assert axis.unit > 0
    assert axis.at(0.0) == 0
    assert axis.at(1e6) == 1
    assert 0.5 < axis.at(1e4) < 0.8


@pytest.mark.parametrize(
    ("scores", "places", "words"),
    [
        ((5, 9, 1, 4), [5], "Kept from 5; the highest score dropped is 4."),
        ((1, 4, 5, 9), [4], "Kept up to 4; the lowest score dropped is 5."),
        ((3, 5, 1, 9), [3, 5], "Kept from 3 to 5."),
        ((1, 9, 3, 5), [3, 5], "Dropped from 3 to 5."),
        ((1, 6, 3, 9), [], "overlap"),
        ((1, 6, None, None), [], "Nothing with a score was dropped."),
        ((None, None, 1, 6), [], "Nothing with a score was kept."),
    ],
)
def test_the_threshold_is_where_kept_and_dropped_scores_meet(scores, places, words):
    record = dict(zip(("kept_min", "kept_max", "dropped_min", "dropped_max"), scores))
    inside = {"Kept from 3 to 5.": [[4, 4.1, 1, 0]], "Dropped from 3 to 5.": [[4, 4.1, 0, 1]]}
    record["buckets"] = inside.get(words, [[3.5, 3.6, 1, 1]])
    found, said = threshold(record)
    assert [value for value, _ in found] == places
    assert words in said


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (figures.share(1, 3), "33.3%"),
        (figures.share(1, 10**6), "<0.1%"),
        (figures.share(10**6 - 1, 10**6), ">99.9%"),
        (figures.share(0, 0), "–"),
        (figures.nbytes(999), "999 B"),
        (figures.nbytes(1_500_000), "1.5 MB"),
        (figures.nbytes(999_960), "1.0 MB"),
        (figures.duration(0.0042), "4.2 ms"),
        (figures.duration(59.96), "1 min 00 s"),
        (figures.duration(7199.7), "2 h 00 min"),
        (figures.score(1234567.0), "1,234,567"),
        (figures.score(0.25), "0.25"),
        (figures.score(0.99999), "1"),
        (figures.score(7e-310), "0"),
        (figures.signed(-1200), "−1,200"),
        (figures.rate(5000, 2), "2,500"),
    ],
)
def test_numbers_are_written_as_people_read_them(made, words):
    assert made == words
