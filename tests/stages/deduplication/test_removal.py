import gzip
import json
import shutil
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.stages.deduplication.removal_ids import RemovalIds
from nemo_curator.stages.deduplication.steps import InputFiles, Steps


def write_ids(folder, ids, name="_curator_dedup_id", parts=2):
    folder = Path(folder)
    folder.mkdir(parents=True)
    for part in range(parts):
        mine = sorted(ids[part::parts])
        kind = pa.int64() if not mine or isinstance(mine[0], int) else pa.string()
        table = pa.table({name: pa.array(mine, kind)})
        pq.write_table(table, folder / f"part.{part}.parquet", row_group_size=2)
    return str(folder)


def remove(files, tmp_path, ids, workers=0, id_field=None, **settings):
    """Remove, and return the steps and what is in the folder of the copies."""
    steps = Steps("test", settings.pop("executor", LocalExecutor(num_workers=workers)), **settings)
    tasks = steps.find_files(files) if id_field else steps.number_rows(files)
    path = None if ids is None else write_ids(tmp_path / "ids", ids, id_field or "_curator_dedup_id")
    removed = steps.remove(files, tasks, path, str(tmp_path / "out"), id_field=id_field)
    folder = tmp_path / "out" / "deduplicated"
    [account] = steps.result.runs["removal"].stages
    assert removed == steps.result.metadata["num_duplicates_removed"] == account.rows_dropped
    return steps, {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def lines(tmp_path):
    files = {
        "a.jsonl": b'\xef\xbb\xbf{"id": "k0"}\r\n\r\n{"id" : "k1", "x": NaN}\r\n'
        b'{broken\r\n  {"id": "k2"}\n\n{"id": "k3"}',
        "b/c.jsonl": b'{"id": "k4"}\n{"id": "k5"}\n',
        "b/d.jsonl": b"",
        "e.jsonl.gz": gzip.compress(b'{"id": "k6", "a": "\xff"}\n{"id": "k7"}\n{"other": 1}\n'),
    }
    for name, data in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return InputFiles(str(tmp_path / "in"), "jsonl")


@pytest.mark.parametrize("workers", [0, 2])
def test_lines_are_copied_byte_by_byte_without_those_that_go(lines, tmp_path, workers):
    steps, files = remove(lines, tmp_path, [1, 4, 6, 5, 8, 99], workers, max_failed_fraction=1.0)
    assert {name: path.read_bytes() for name, path in files.items() if not name.endswith("gz")} == {
        "a.jsonl": b'\xef\xbb\xbf{"id": "k0"}\r\n\r\n  {"id": "k2"}\n\n',
        "b/c.jsonl": b"",
        "b/d.jsonl": b"",
    }
    assert gzip.decompress(files["e.jsonl.gz"].read_bytes()) == b'{"other": 1}\n'
    [account] = steps.result.runs["removal"].stages
    assert (account.rows_in, account.rows_out, account.rows_dropped, account.rows_failed) == (10, 3, 5, 2)


def test_ids_of_ones_own_are_looked_up_in_each_record(lines, tmp_path):
    _, files = remove(lines, tmp_path, ["k1", "k5", "k7", "unknown"], id_field="id", max_failed_fraction=1.0)
    assert files["a.jsonl"].read_bytes() == b'\xef\xbb\xbf{"id": "k0"}\r\n\r\n  {"id": "k2"}\n\n{"id": "k3"}'
    assert files["b/c.jsonl"].read_bytes() == b'{"id": "k4"}\n'
    assert gzip.decompress(files["e.jsonl.gz"].read_bytes()) == b'{"other": 1}\n'


def test_a_file_that_was_read_in_parts_is_copied_whole(tmp_path):
    (tmp_path / "in").mkdir()
    data = [json.dumps({"text": f"line {number}"}) for number in range(500)]
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(data))
    files = InputFiles(str(tmp_path / "in"), "jsonl", blocksize=700)
    _, copies = remove(files, tmp_path, list(range(0, 500, 3)))
    assert copies["a.jsonl"].read_text().splitlines() == [line for at, line in enumerate(data) if at % 3]


@pytest.mark.parametrize("id_field", [None, "id"])
def test_row_groups_keep_their_schema(tmp_path, id_field):
    (tmp_path / "in" / "x").mkdir(parents=True)
    schema = pa.schema(
        {
            "id": pa.int64(),
            "text": pa.large_string(),
            "view": pa.string_view(),
            "list": pa.list_(pa.struct({"a": pa.int8()})),
        },
        metadata={"made": "by us"},
    )
    rows = [
        {"id": number, "text": f"t{number}", "view": "v" * number, "list": [{"a": 1}] * (number % 3)}
        for number in range(40)
    ]
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table.slice(0, 25), tmp_path / "in" / "x" / "a.parquet", row_group_size=10)
    pq.write_table(table.slice(25), tmp_path / "in" / "b.parquet")
    _, copies = remove(
        InputFiles(str(tmp_path / "in"), blocksize=300), tmp_path, [*range(10), 12, 39], id_field=id_field
    )
    kept = [row for row in rows if row["id"] not in (*range(10), 12, 39)]
    if id_field is None:  # b.parquet comes before x/a.parquet
        numbers = {row["id"]: (row["id"] + 15 if row["id"] < 25 else row["id"] - 25) for row in rows}
        kept = [row for row in rows if numbers[row["id"]] not in (*range(10), 12, 39)]
    found = pa.concat_tables([pq.read_table(copies["x/a.parquet"]), pq.read_table(copies["b.parquet"])])
    assert found.to_pylist() == kept
    before = pq.read_schema(tmp_path / "in" / "b.parquet")
    assert pq.read_schema(copies["b.parquet"]).equals(before, check_metadata=True)


def test_a_file_of_which_nothing_stays_is_there_and_empty(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "in" / "a.parquet")
    _, copies = remove(InputFiles(str(tmp_path / "in")), tmp_path, [0, 1])
    assert pq.read_table(copies["a.parquet"]).equals(pa.table({"text": pa.array([], pa.string())}))


def test_without_ids_all_is_copied(lines, tmp_path):
    steps, copies = remove(lines, tmp_path, None, max_failed_fraction=1.0)
    assert copies["b/c.jsonl"].read_bytes() == b'{"id": "k4"}\n{"id": "k5"}\n'
    assert steps.result.metadata["num_duplicates_removed"] == 0


def test_copies_are_written_behind_urls(tmp_path):
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/removal/in/x/a.jsonl", b'{"a": 1}\n{"a": 2}\n')
    steps = Steps("test", LocalExecutor(num_workers=0))
    files = InputFiles("memory://removal/in", "jsonl")
    tasks = steps.number_rows(files)
    assert steps.remove(files, tasks, write_ids(tmp_path / "ids", [0]), "memory://removal/out") == 1
    assert fs.cat_file("/removal/out/deduplicated/x/a.jsonl") == b'{"a": 2}\n'


def test_a_file_that_changed_after_it_was_numbered_is_not_copied(lines, tmp_path):
    steps = Steps("test", LocalExecutor(num_workers=0), max_failed_fraction=1.0)
    tasks = steps.number_rows(lines)
    (tmp_path / "in" / "b" / "c.jsonl").write_text('{"id": "new"}\n')
    steps.remove(lines, tasks, write_ids(tmp_path / "ids", [4]), str(tmp_path / "out"))
    assert "has 1 records, and had 2 when they were counted" in str(steps.result.runs["removal"].stages[0].failures)
    assert not (tmp_path / "out" / "deduplicated" / "b" / "c.jsonl").exists()


def test_a_damaged_file_is_copied_up_to_the_damage(tmp_path):
    (tmp_path / "in").mkdir()
    data = gzip.compress(b"".join(b'{"a": %d}\n' % number for number in range(300000)))
    (tmp_path / "in" / "a.jsonl.gz").write_bytes(data[: len(data) // 2])
    files = InputFiles(str(tmp_path / "in"), "jsonl")
    with pytest.raises(RunFailedError, match="cut off"):
        remove(files, tmp_path, [1])
    [copy] = (tmp_path / "out" / "deduplicated").iterdir()
    assert gzip.decompress(copy.read_bytes()).startswith(b'{"a": 0}\n{"a": 2}\n')


def test_copies_stay_when_a_workflow_goes_on_and_are_made_anew_when_rows_have_other_numbers(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.jsonl").write_text(f'{{"is": "{name}0"}}\n{{"is": "{name}1"}}\n')
    files = InputFiles(str(tmp_path / "in"), "jsonl", files_per_partition=1)
    settings = {"checkpoint_path": tmp_path / "checkpoint", "on_change": "redo"}
    _, before = remove(files, tmp_path, [1, 4], **settings)
    times = {name: path.stat().st_mtime_ns for name, path in before.items()}
    shutil.rmtree(tmp_path / "ids")
    _, after = remove(files, tmp_path, [1, 4], **settings)
    assert {name: path.stat().st_mtime_ns for name, path in after.items()} == times
    assert after["c.jsonl"].read_text() == '{"is": "c1"}\n'
    shutil.rmtree(tmp_path / "ids")
    (tmp_path / "in" / "a.jsonl").write_text('{"is": "a0"}\n')
    _, after = remove(files, tmp_path, [1, 4], **settings)
    assert after["b.jsonl"].read_text() == '{"is": "b1"}\n'
    assert after["c.jsonl"].read_text() == '{"is": "c0"}\n'


@pytest.mark.ray
def test_rows_are_numbered_and_removed_on_ray_as_here(lines, tmp_path, ray_cluster):
    from nemo_curator.backends.ray_data import RayDataExecutor

    (tmp_path / "here").mkdir()
    _, here = remove(lines, tmp_path / "here", [1, 4, 6], max_failed_fraction=1.0)
    (tmp_path / "ray").mkdir()
    _, on_ray = remove(lines, tmp_path / "ray", [1, 4, 6], executor=RayDataExecutor(), max_failed_fraction=1.0)
    assert {name: path.read_bytes() for name, path in on_ray.items()} == {
        name: path.read_bytes() for name, path in here.items()
    }


def test_copies_are_not_put_beside_other_files_nor_over_the_input(lines, tmp_path):
    other = tmp_path / "out" / "deduplicated" / "old.jsonl"
    other.parent.mkdir(parents=True)
    other.write_text("")
    with pytest.raises(FileExistsError, match=r"holds .*old\.jsonl, which is no copy of an input; empty the folder"):
        remove(lines, tmp_path, [1])
    tasks = Steps("test", LocalExecutor(num_workers=0)).find_files(InputFiles(str(other), "jsonl"))
    with pytest.raises(ValueError, match="cannot write the copy of"):
        Steps("test").remove(lines, tasks, None, str(tmp_path / "out"))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ids_are_found_whatever_they_are_and_however_little_is_held(tmp_path_factory, data):
    one = data.draw(st.sampled_from([st.integers(-5, 30), st.integers(-(2**63), 2**63 - 1), st.text("ab", max_size=3)]))
    removed, asked = data.draw(st.lists(one)), data.draw(st.lists(st.none() | one))
    kind = pa.string() if any(isinstance(value, str) for value in [*removed, *asked]) else pa.int64()
    folder = tmp_path_factory.mktemp("ids")
    rows = data.draw(st.integers(1, 4))
    pq.write_table(pa.table({"id": pa.array(removed, kind)}), folder / "a.parquet", row_group_size=rows)
    ids = RemovalIds(str(folder), ["id"], most_bytes=data.draw(st.sampled_from([0, 50, 10**6]))).open()
    assert ids.contains(pa.array(asked, kind)).tolist() == [value in removed for value in asked]
    if kind == pa.int64():
        assert ids.within(0, 10).tolist() == sorted({value for value in removed if 0 <= value < 10})


def test_a_column_of_ids_is_chosen_or_those_that_are_there_are_named(tmp_path):
    assert RemovalIds(write_ids(tmp_path / "one", [1], "any"), ["id"]).open().column == "any"
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "two.parquet")
    with pytest.raises(InputError, match=r"has no column 'id'; its columns are \['a', 'b'\]"):
        RemovalIds(str(tmp_path / "two.parquet"), ["id"]).open()


def test_ids_of_another_kind_are_an_error(tmp_path):
    ids = RemovalIds(write_ids(tmp_path / "ids", ["a"], "id"), ["id"]).open()
    with pytest.raises(InputError, match=r"the documents have ids of type int64, the ids in .* are string"):
        ids.contains(pa.array([1]))
