import json

import numpy as np
import pyarrow as pa
import pytest

from nemo_curator.errors import ContractError
from nemo_curator.stages.deduplication.semantic.embeddings import Lists, unit_rows, usual
from nemo_curator.stages.deduplication.semantic.utils import break_parquet_partition_into_groups, get_array_from_df
from nemo_curator.tasks.json_column import encoded
from tests.stages.deduplication.semantic.vectors import unit, write

ROWS = [[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0]]
UNIT = [[0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]]


def rows_of(array):
    return unit_rows(array, pa.table({"row": pa.array(range(len(array)))}))


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float16()),
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float32(), 2),
        pa.list_(pa.float64(), 2),
        pa.list_(pa.int32()),
    ],
)
def test_lists_of_every_kind_become_rows_of_length_one(kind):
    array = pa.array(ROWS, kind)
    found = rows_of(array)
    np.testing.assert_allclose(found.vectors, UNIT, atol=1e-6)
    assert found.vectors.dtype == np.float32
    assert found.problems == {}
    np.testing.assert_allclose(rows_of(array[1:]).vectors, UNIT[1:], atol=1e-6)
    np.testing.assert_allclose(rows_of(pa.chunked_array([array, array[:0], array])).vectors, UNIT + UNIT, atol=1e-6)


def test_lists_that_travel_as_json_are_rows_too():
    array = encoded(json.dumps(row) for row in [[3, 4.0], [0, 2], "no list", {"a": 1}, [1, "x"], None])
    found = rows_of(array)
    np.testing.assert_allclose(found.vectors, UNIT[:2], atol=1e-6)
    assert list(found.problems) == [2, 3, 4, 5]


def test_what_is_no_embedding_is_named_and_the_rows_beside_it_stay():
    array = pa.array([[3.0, 4.0], None, [1.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [None, 1.0], [], [0.0, 1.0]])
    found = rows_of(array)
    assert found.columns["row"].to_pylist() == [0, 8]
    assert found.problems == {
        1: "has no embedding",
        2: "has 1 dimensions, not 2",
        3: "is all zeros",
        4: "holds what is no finite number",
        5: "holds what is no finite number",
        6: "holds what is no finite number",
        7: "has 0 dimensions, not 2",
    }


@pytest.mark.parametrize("kind", [pa.list_(pa.float32(), 2), pa.list_(pa.float64())])
def test_a_null_among_lists_is_no_list_of_zeros(kind):
    found = rows_of(pa.array([None, [3, 4], None, [0, 1]], kind))
    assert list(found.problems) == [0, 2]
    np.testing.assert_allclose(found.vectors, UNIT[:2], atol=1e-6)


def test_values_whose_squares_are_too_large_or_too_small_have_a_direction_too():
    found = rows_of(pa.array([[3e300, 4e300], [3e-300, 4e-300]], pa.list_(pa.float64())))
    np.testing.assert_allclose(found.vectors, [UNIT[0], UNIT[0]], atol=1e-6)
    found = rows_of(pa.array([[3e30, 4e30], [3e-30, 4e-30]], pa.list_(pa.float32())))
    np.testing.assert_allclose(found.vectors, [UNIT[0], UNIT[0]], atol=1e-6)


def test_a_column_without_any_embedding_fails_row_by_row():
    found = rows_of(pa.nulls(3))
    assert len(found.vectors) == 0
    assert list(found.problems) == [0, 1, 2]


@pytest.mark.parametrize("array", [pa.array(["a"]), pa.array([["a"]]), pa.array([1.0])])
def test_a_column_of_something_else_is_an_error_that_says_so(array):
    with pytest.raises(ContractError, match="lists of numbers"):
        Lists.of(array)


def test_the_usual_length_is_the_most_frequent_one():
    assert usual([2, 3, 3]) == 3
    assert usual([3, 2, 2, 3, 0, 0, 0]) == 2
    assert usual([]) == 0


def test_get_array_from_df_takes_frames_and_tables():
    table = pa.table({"e": ROWS})
    assert get_array_from_df(table, "e").tolist() == ROWS
    assert get_array_from_df(table.to_pandas(), "e").tolist() == ROWS
    with pytest.raises(ValueError, match="row 1 of 'e'"):
        get_array_from_df(pa.table({"e": [[1.0], None]}), "e")


def test_files_are_grouped_by_the_rows_of_the_first(tmp_path):
    write(tmp_path, unit(100, 2), files=1)
    files = [str(tmp_path / "0.parquet")] * 5
    assert break_parquet_partition_into_groups(files) == [files]
    assert break_parquet_partition_into_groups(files, embedding_dim=6_000_000) == [files[:2], files[2:4], files[4:]]
    assert break_parquet_partition_into_groups(files, embedding_dim=10**9) == [[one] for one in files]
