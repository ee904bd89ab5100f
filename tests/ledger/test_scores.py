"""The scores of filters: what is counted of them, and that it adds up in any order."""

import json
import math
import pickle
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemo_curator.ledger.scores import MOST_BUCKETS, MOST_LABELS, Scores

NUMBERS = st.one_of(st.floats(), st.integers(-50, 50).map(float))
ROWS = st.lists(st.tuples(NUMBERS, st.booleans()), max_size=60)


def scores_of(rows):
    made = Scores()
    made.add(np.array([score for score, _ in rows]), np.array([not keep for _, keep in rows], bool))
    return made


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, edges=st.lists(st.integers(0, 60), max_size=4), order=st.randoms(use_true_random=False))
def test_parts_in_any_order_add_up_to_the_whole(rows, edges, order):
    edges = [0, *sorted(edges), len(rows)]
    parts = [scores_of(rows[start:stop]) for start, stop in pairwise(edges)]
    order.shuffle(parts)
    merged = Scores()
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)))
    whole = scores_of(rows).to_dict()
    assert merged.to_dict() == whole
    assert whole["kept"] + whole["dropped"] + whole["no_score"] == len(rows)
    gone = [score for score, keep in rows if not keep]
    assert whole["dropped"] + whole["no_score_dropped"] == len(gone)
    finite = [score for score in gone if math.isfinite(score)]
    assert (whole["dropped_min"], whole["dropped_max"]) == (min(finite, default=None), max(finite, default=None))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_every_score_is_in_its_bucket(rows):
    made = scores_of(rows)
    for low, high, kept, dropped in made.to_dict()["buckets"]:
        # the edge nearer to zero belongs to a bucket, and the largest number to the last one
        near, far = sorted((abs(low), abs(high)))
        inside = [
            keep
            for score, keep in rows
            if (near <= abs(score) < far or abs(score) == far == sys.float_info.max) and (score < 0) == (low < 0)
        ]
        assert (kept, dropped) == (sum(inside), len(inside) - sum(inside))
        assert near < 1e-300 or far - near <= near / 2**5
    packed = json.loads(json.dumps(made.packed()))
    assert packed == made.packed() == Scores.unpacked(packed).packed()


@pytest.mark.parametrize("spread", [1, 300])
def test_a_report_has_a_bounded_number_of_buckets_and_can_be_read_again(spread):
    random = np.random.default_rng(0)
    numbers = random.normal(size=5000) * 10.0 ** random.uniform(-spread, spread, 5000)
    made = Scores()
    made.add(numbers, numbers > 0)
    report = json.loads(json.dumps(made.to_dict()))
    assert len(report["buckets"]) <= MOST_BUCKETS
    assert sum(kept + dropped for *_, kept, dropped in report["buckets"]) == 5000
    assert all(one[1] <= other[0] for one, other in pairwise(report["buckets"]))
    assert Scores.from_dict(report).to_dict() == report


def test_whole_numbers_below_64_have_buckets_of_their_own():
    made = scores_of([(float(number), True) for number in range(64)])
    assert [low for low, *_ in made.to_dict()["buckets"]] == list(map(float, range(64)))


@pytest.mark.parametrize(
    ("scores", "numbers", "labels"),
    [
        ([1, None, 2.5], 2, None),
        ([None, None], 0, None),
        ([True, False], 2, None),
        (["de", "en", "en"], 0, {"de": [1, 0], "en": [2, 0]}),
        (["[0.5, 'DE']", "[0.25, 'EN']", None], 2, {"DE": [1, 0], "EN": [1, 0]}),
        ([(0.5, "de"), [0.25, "en"]], 2, {"de": [1, 0], "en": [1, 0]}),
        ([[1, 2], {"a": 1}], 0, None),
        ([1.0, "no number", object()], 1, None),
        ([10**400, 1], 1, None),
    ],
)
def test_what_is_no_number_counts_as_no_score_and_texts_as_labels(scores, numbers, labels):
    made = Scores()
    made.add(scores)
    report = made.to_dict()
    assert (report["kept"], report["no_score"], report.get("labels")) == (numbers, len(scores) - numbers, labels)
    assert Scores.from_dict(report).to_dict() == report


def test_texts_of_which_there_are_too_many_are_no_labels():
    many = [str(number) for number in range(MOST_LABELS + 1)]
    made, other = Scores(), Scores()
    made.add(many)
    other.add(["x"])
    for merged in (made, other):
        merged.merge(made if merged is other else other)
        assert "labels" not in merged.to_dict()
