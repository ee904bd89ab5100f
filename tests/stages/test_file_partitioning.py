import shutil
from itertools import pairwise

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import InputError
from nemo_curator.stages import file_partitioning
from nemo_curator.stages.file_partitioning import FilePartitioningStage, byte_ranges, common_folder, pack
from nemo_curator.tasks import EmptyTask


def write(folder, **sizes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (folder / f"{name}.jsonl").write_bytes(b"x" * size)


def partitions(*args, **kwargs):
    return FilePartitioningStage(*args, **kwargs).process(EmptyTask())


def names(tasks):
    return [[path.rpartition("/")[2].partition(".")[0] for path in task.data] for task in tasks]


def test_files_are_packed_as_documented():
    assert pack([("a", 10), ("b", 20), ("c", 30), ("d", 100), ("e", 5)], 60) == [["a", "b", "c"], ["d"], ["e"]]


@given(st.lists(st.integers(0, 100)), st.integers(1, 100))
def test_every_file_is_packed_once_and_none_is_packed_beyond_the_size(sizes, most):
    packs = pack(enumerate(sizes), most)
    assert [one for group in packs for one in group] == list(range(len(sizes)))
    assert all(len(group) == 1 or sum(sizes[one] for one in group) <= most for group in packs)


@given(st.integers(0, 10**4), st.integers(1, 10**4))
def test_ranges_are_equal_and_cover_the_file(size, most):
    ranges = byte_ranges(size, most)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size
    assert all(one[1] == two[0] for one, two in pairwise(ranges))
    lengths = [stop - start for start, stop in ranges]
    assert max(lengths) <= most
    assert max(lengths) - min(lengths) <= 1


def test_without_settings_each_file_is_a_partition_in_the_order_of_the_paths(tmp_path):
    write(tmp_path / "sub", b=1)
    write(tmp_path, c=2, a=3)
    tasks = partitions(str(tmp_path))
    assert names(tasks) == [["a"], ["c"], ["b"]]
    assert [task._metadata["partition_index"] for task in tasks] == [0, 1, 2]
    assert {task._metadata["total_partitions"] for task in tasks} == {3}
    assert [task._metadata["source_files"] for task in tasks] == [task.data for task in tasks]
    assert tasks[2].dataset_name == "sub"
    assert all(task.reader_config == {} for task in tasks)


@pytest.mark.parametrize(
    ("settings", "groups"),
    [
        ({"files_per_partition": 2}, [["a", "b"], ["c", "d"], ["e"]]),
        ({"blocksize": 60}, [["e", "a", "b"], ["c"], ["d"]]),
        ({"blocksize": "60B", "limit": 2}, [["e", "a", "b"], ["c"]]),
        ({"files_per_partition": 9}, [["a", "b", "c", "d", "e"]]),
    ],
)
def test_files_are_grouped_by_number_or_by_size(tmp_path, settings, groups):
    write(tmp_path, a=10, b=20, c=30, d=100, e=5)
    assert names(partitions(str(tmp_path), **settings)) == groups


def test_a_file_beyond_the_block_is_split_where_its_reader_can(tmp_path):
    write(tmp_path, a=10, d=100)
    tasks = partitions(str(tmp_path), blocksize=40, split_by="byte_range")
    assert [task.reader_config for task in tasks] == [
        {},
        {"byte_range": (0, 33)},
        {"byte_range": (33, 66)},
        {"byte_range": (66, 100)},
    ]
    assert len({task._source_id for task in tasks}) == 4


def test_a_file_beyond_32_mib_is_split_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(file_partitioning, "DEFAULT_BLOCK_BYTES", 50)
    write(tmp_path, a=10, d=100)
    assert len(partitions(str(tmp_path), split_by="byte_range")) == 3
    assert len(partitions(str(tmp_path))) == 2


def test_a_compressed_file_is_not_split(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(b"x" * 100)
    assert [task.reader_config for task in partitions(str(tmp_path), blocksize=10, split_by="byte_range")] == [{}]


def test_parquet_is_split_by_row_groups(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [str(at) * 50 for at in range(100)]}), path, row_group_size=25, compression="none")
    tasks = partitions(str(path), blocksize=path.stat().st_size // 2, split_by="row_groups")
    assert [task.reader_config["row_groups"] for task in tasks] == [[0, 1], [2, 3]]


def test_a_damaged_parquet_file_is_left_to_its_reader(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1" * 30)
    assert len(partitions(str(tmp_path), blocksize=10, split_by="row_groups")) == 1


def test_moving_a_folder_does_not_change_ids_and_they_are_unique(tmp_path):
    write(tmp_path / "one" / "x", a=10, b=100)
    write(tmp_path / "one" / "y", a=10)
    before = [task._source_id for task in partitions(str(tmp_path / "one"), blocksize=50, split_by="byte_range")]
    shutil.move(tmp_path / "one", tmp_path / "two")
    after = [task._source_id for task in partitions(str(tmp_path / "two"), blocksize=50, split_by="byte_range")]
    assert before == after
    assert len(set(before)) == len(before) == 3
    assert all(len(one) == 12 for one in before)


def test_files_of_the_same_name_in_unrelated_folders_have_different_ids(monkeypatch, tmp_path):
    monkeypatch.setattr(file_partitioning, "common_folder", lambda folders: "")
    write(tmp_path / "x", a=1)
    write(tmp_path / "y", a=1)
    ids = [task._source_id for task in partitions([str(tmp_path / "x"), str(tmp_path / "y")])]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("folders", "shared"),
    [
        (["/data/a"], "/data/a"),
        (["/data/a", "/data/b/c"], "/data"),
        (["/data/ab", "/data/ac"], "/data"),
        (["/data", "/mnt"], ""),
        (["s3://bucket/a", "s3://bucket/b"], "s3://bucket"),
        (["s3://one/a", "s3://two/a"], ""),
        (["s3://one/a", "/data/a"], ""),
    ],
)
def test_the_root_is_the_folder_that_all_inputs_share(folders, shared):
    assert common_folder(folders) == shared


def test_urls_are_listed_like_folders():
    fs = fsspec.filesystem("memory")
    for name in ("a.jsonl", "sub/b.jsonl.gz", ".hidden/c.jsonl", "d.csv"):
        fs.pipe_file(f"/partitioning/{name}", b"x" * 10)
    tasks = partitions("memory://partitioning", blocksize=100)
    assert [task.data for task in tasks] == [
        ["memory:///partitioning/a.jsonl", "memory:///partitioning/sub/b.jsonl.gz"]
    ]
    assert partitions(["memory://partitioning/a.jsonl"])[0].data == ["memory:///partitioning/a.jsonl"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"files_per_partition": 1, "blocksize": 1}, "not both"),
        ({"files_per_partition": 0}, "files_per_partition is 0; wanted at least 1"),
        ({"limit": 0}, "limit is 0; wanted at least 1"),
        ({"blocksize": "0MB"}, "blocksize is 0; wanted at least 1"),
        ({"blocksize": "many"}, "'many' is not a number of bytes"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_the_stage_is_built(settings, message):
    with pytest.raises(ValueError, match=message):
        FilePartitioningStage("folder", **settings)


def test_what_cannot_be_found_is_an_error_of_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    for name in ("a.csv", "b.csv", "c"):
        (tmp_path / "other" / name).touch()
    wanted = "ends in .jsonl, .json, .parquet; found .csv (2), no extension (1); to read it give file_extensions"
    for path, message in {
        "gone/x": f"there is no such file or folder; {tmp_path} holds empty, other",
        "empty": "the folder is empty; wanted files that end in .jsonl, .json, .parquet",
        "other": f"none of its 3 files {wanted}",
        "other/a.csv": "the file does not end in .jsonl, .json, .parquet; found .csv (1)",
        "other/*.jsonl": f"nothing matches the pattern; {tmp_path}/other holds a.csv, b.csv, c",
    }.items():
        with pytest.raises(InputError) as caught:
            partitions([str(tmp_path / path)])
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_paths_at_all_are_an_error():
    for nothing in ([], "", [""]):
        with pytest.raises(InputError, match="give files, folders or patterns"):
            partitions(nothing)
