import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.survivors import find_estimated, find_survivors
from nemo_curator.stages.deduplication.fuzzy.blocks import Memberships

sets = st.lists(st.frozensets(st.integers(0, 12), max_size=8), min_size=1, max_size=12)


def jaccard(one, other):
    return len(one & other) / len(one | other) if one | other else 1.0


def by_definition(documents, shares, kept, least):
    """For each document the first one before it that stays, shares a group and is similar enough."""
    survivors = {}
    for one in range(kept, len(documents)):
        for other in range(one):
            if other in survivors or not shares[one] & shares[other]:
                continue
            if jaccard(documents[one], documents[other]) >= least:
                survivors[one] = other
                break
    return [survivors.get(one, -1) for one in range(len(documents))]


def arrays(documents, shares):
    flat = np.array([value for each in documents for value in sorted(each)], np.uint64)
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in documents])]).astype(np.int64)
    pairs = [(one, group) for one, groups in enumerate(shares) for group in groups]
    members, groups = np.array(pairs, np.int64).reshape(-1, 2).T
    known = Memberships.of(np.arange(len(documents)), members, groups.astype(np.uint64))
    return flat, offsets, known


@settings(deadline=None, max_examples=300)
@given(sets, st.data())
def test_a_document_goes_for_the_first_that_stays_and_is_similar_enough(documents, data):
    shares = [data.draw(st.frozensets(st.integers(0, 3), max_size=3)) for _ in documents]
    kept = data.draw(st.integers(0, len(documents)))
    least = data.draw(st.sampled_from([0.3, 0.5, 0.8, 1.0]))
    flat, offsets, known = arrays(documents, shares)
    survivors, similarities = find_survivors(
        flat,
        offsets,
        np.arange(len(documents)),
        known.starts,
        *known.dense(),
        kept,
        np.zeros(len(documents), bool),
        True,
        least,
    )
    assert survivors.tolist() == by_definition(documents, shares, kept, least)
    for one, other in enumerate(survivors):
        assert similarities[one] == (jaccard(documents[one], documents[other]) if other >= 0 else 0.0)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 8), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_signatures_are_compared_with_those_that_stay_alone(size, kept, seed):
    kept = min(kept, size)
    rng = np.random.default_rng(seed)
    signatures = rng.integers(0, 2, (size, 10)).astype(np.uint64)
    known = Memberships.of(np.arange(size), np.arange(size), np.zeros(size, np.uint64))
    survivors, similarities = find_estimated(signatures, known.starts, *known.dense(), kept, 0.6)
    for one in range(size):
        shares = [(signatures[one] == signatures[other]).mean() for other in range(kept)]
        near = [other for other in range(kept) if shares[other] >= 0.6] if one >= kept else []
        assert survivors[one] == (near[0] if near else -1)
        assert similarities[one] == (shares[near[0]] if near else 0.0)
