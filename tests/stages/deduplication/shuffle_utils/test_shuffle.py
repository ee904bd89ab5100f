from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError, InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.shuffle_utils.rapidsmpf_shuffler import BulkRapidsMPFShuffler
from nemo_curator.stages.deduplication.shuffle_utils.stage import ShuffleStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage

ROWS = [{"key": f"k{number % 17}", "number": number} for number in range(200)]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for at in range(0, 200, 50):
        pq.write_table(pa.Table.from_pylist(ROWS[at : at + 50]), folder / f"{at:03d}.parquet")
    return folder


def shuffled(source, folder, **settings):
    stages = [FilePartitioningStage(str(source)), ShuffleStage("key", output_path=str(folder), **settings)]
    return Pipeline("shuffle", stages=stages).run(LocalExecutor(num_workers=0))


def check(parts):
    """Every row is there once, and all rows of a key in one part, in the order of the sources."""
    rows = [row for part in parts for row in part]
    assert sorted(row["number"] for row in rows) == list(range(200))
    where = Counter(key for part in parts for key in {row["key"] for row in part})
    assert set(where.values()) == {1}
    for part in parts:
        for key in {row["key"] for row in part}:
            numbers = [row["number"] for row in part if row["key"] == key]
            assert numbers == sorted(numbers)


@pytest.mark.parametrize("parts", [1, 3, 70])
def test_rows_with_equal_keys_are_in_the_same_file(source, tmp_path, parts):
    tasks = shuffled(source, tmp_path / "out", total_nparts=parts)
    paths = [tmp_path / "out" / "ShuffleStage" / f"part.{part}.parquet" for part in range(parts)]
    assert sorted(path for task in tasks for path in task.data) == sorted(map(str, paths))
    tables = [pq.read_table(path) for path in paths]
    assert all(table.schema.equals(tables[0].schema) for table in tables)
    check([table.to_pylist() for table in tables])


def test_without_a_number_there_are_as_many_parts_as_the_largest_power_of_two_up_to_the_tasks(source, tmp_path):
    assert len(shuffled(source, tmp_path / "out")) == 4


def test_a_folder_of_the_user_is_not_emptied(source, tmp_path):
    buckets = tmp_path / "out" / "ShuffleStage_buckets"
    buckets.mkdir(parents=True)
    (buckets / "mine.txt").touch()
    with pytest.raises(InputError, match=r"mine\.txt; move them"):
        shuffled(source, tmp_path / "out")
    with pytest.raises(ValueError, match="total_nparts is 0"):
        ShuffleStage("key", total_nparts=0)


def test_a_shuffler_is_fed_by_hand(tmp_path):
    shuffler = BulkRapidsMPFShuffler(total_nparts=3, shuffle_on=["key"])
    for at in range(0, 200, 40):
        shuffler.insert_chunk(pa.Table.from_pylist(ROWS[at : at + 40]))
    with pytest.raises(ContractError, match="before insert_finished"):
        next(shuffler.extract())
    shuffler.insert_finished()
    parts = dict(shuffler.extract())
    assert list(parts) == [0, 1, 2]
    check([part.to_pylist() for part in parts.values()])
    path = shuffler.write_table(parts[1], str(tmp_path), 1, ["key", "number"])
    assert pq.read_table(path).equals(parts[1])
    with pytest.raises(ContractError, match="after insert_finished"):
        shuffler.insert_chunk(parts[0])
    shuffler.cleanup()
    with pytest.raises(ValueError, match="total_nparts is 0"):
        BulkRapidsMPFShuffler(total_nparts=0)
