import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.hamming import find_near_hashes

# few bits that change, so that near ones are not rare
near_ones = st.lists(st.builds(lambda base, flips: base ^ flips, st.sampled_from([0, 2**64 - 1]), st.integers(0, 2**9)))


@settings(max_examples=60, deadline=None)
@given(near_ones | st.lists(st.integers(0, 2**64 - 1)), st.sampled_from([0, 1, 2, 3, 4, 7, 12, 31, 63]))
def test_each_hash_finds_the_first_that_stays_and_is_near(values, distance):
    kept, wanted = [], []
    for at, value in enumerate(values):
        first = next((one for one in kept if (values[one] ^ value).bit_count() <= distance), -1)
        wanted.append(first)
        kept += [at] if first < 0 else []
    assert find_near_hashes(np.array(values, np.uint64), distance).tolist() == wanted


@pytest.mark.parametrize("distance", [-1, 64])
def test_a_distance_that_no_two_hashes_have_is_an_error(distance):
    with pytest.raises(ValueError, match="max_distance is"):
        find_near_hashes(np.zeros(2, np.uint64), distance)
