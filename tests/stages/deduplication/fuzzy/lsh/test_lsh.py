import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.deduplication.fuzzy.lsh.lsh import LSHActor
from nemo_curator.stages.deduplication.fuzzy.lsh.stage import LSHStage

ROWS = {"_bucket_id": ["b", "a", "b", "c", "b"], "_curator_dedup_id": [5, 1, 3, 2, 4]}


def test_ids_of_a_bucket_come_together_in_order():
    actor = LSHActor(2, 2)
    wanted = {"_bucket_id": ["b"], "_curator_dedup_id": [[3, 4, 5]]}
    assert actor.group_by_bucket(pa.table(ROWS)).to_pydict() == wanted
    frame = actor.group_by_bucket(pd.DataFrame(ROWS), include_singles=True)
    assert [list(ids) for ids in frame["_curator_dedup_id"]] == [[1], [3, 4, 5], [2]]
    assert actor.group_by_bucket(pa.table(ROWS).slice(0, 0)).num_rows == 0


def test_each_band_of_a_document_is_a_row_and_what_has_no_signature_has_none():
    signed = pa.table({"_minhash_signature": [[1, 2, 3, 4], None, [1, 2, 9, 9]], "_curator_dedup_id": [7, 8, 9]})
    bands = LSHActor(2, 2).bands(signed)
    assert bands["_band"].to_pylist() == [0, 1, 0, 1]
    assert bands["_curator_dedup_id"].to_pylist() == [7, 7, 9, 9]
    hashes = bands["_band_hash"].to_pylist()
    assert hashes[0] == hashes[2]
    assert len(set(hashes)) == 3


def test_signatures_that_are_too_short_or_differ_in_length_are_an_error():
    for rows in ([[1, 2, 3]], [[1, 2, 3, 4], [1, 2, 3, 4, 5]]):
        signed = pa.table({"_minhash_signature": rows, "_curator_dedup_id": list(range(len(rows)))})
        with pytest.raises(InputError, match="for 2 bands of 2"):
            LSHActor(2, 2).bands(signed)


def test_iterations_cover_all_bands():
    assert list(LSHStage(7, 1, bands_per_iteration=3).get_band_iterations()) == [(0, 3), (3, 6), (6, 7)]
