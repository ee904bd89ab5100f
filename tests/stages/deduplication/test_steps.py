import gzip
import json
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError, InputError, RunFailedError
from nemo_curator.stages.deduplication.exact.hash_documents import HashDocuments
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.deduplication.text_lines import TextLineReader
from nemo_curator.stages.text.io.reader.row_numbers import count_lines, find_lines
from nemo_curator.tasks import FileGroupTask

ID = CURATOR_DEDUP_ID_STR


def here(**settings):
    return Steps("test", LocalExecutor(num_workers=0), **settings)


def ids_of(files, initial_tasks=None, **settings):
    """The text of each document that can be read, by its id."""
    steps = here(**settings)
    tasks = steps.number_rows(files, initial_tasks)
    batches = steps.run("read", [files.reader(["text"])], tasks)
    rows = [row for batch in batches for row in batch.to_pyarrow().to_pylist()]
    found = {row[ID]: row["text"] for row in rows}
    assert len(found) == len(rows)
    return found, steps


@pytest.fixture
def lines(tmp_path):
    """Files of lines, some blank, some broken, with the number of each line that is a record or should be one."""
    number, wanted, files = 0, {}, {}
    for name in ("b/1.jsonl", "a.jsonl.gz", "c.jsonl"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [json.dumps({"text": f"{name} {line}"}) for line in range(300 if name == "c.jsonl" else 20)]
        texts[3::7] = [""] * len(texts[3::7])
        texts[5::11] = ["{broken"] * len(texts[5::11])
        files[path] = "\r\n".join(texts).encode()
        path.write_bytes(gzip.compress(files[path]) if name.endswith("gz") else files[path])
    for path in sorted(files):
        for line in files[path].split(b"\r\n"):
            if line and not line.startswith(b"{b"):
                wanted[number] = json.loads(line)["text"]
            number += bool(line)
    return str(tmp_path / "in"), wanted, number


@pytest.mark.parametrize("grouping", [{}, {"blocksize": 500}, {"blocksize": "1GiB"}, {"files_per_partition": 2}])
def test_the_id_of_a_line_is_its_number_in_the_sorted_files_however_they_are_grouped(lines, grouping):
    path, wanted, records = lines
    found, steps = ids_of(InputFiles(path, "jsonl", **grouping), max_failed_fraction=1.0)
    assert found == wanted
    assert steps.num_rows == records
    assert set(steps.result.runs) == {"input_filegroups", "row_numbers", "read"}
    assert steps.result.metadata["row_numbers_time"] <= steps.result.metadata["total_time"]


@pytest.mark.parametrize("grouping", [{}, {"blocksize": 300}, {"files_per_partition": 3}])
def test_the_id_of_a_row_is_its_number_though_files_beside_it_are_damaged(tmp_path, grouping):
    wanted = {}
    for number in range(4):
        texts = [f"{number} {row}" for row in range(40)]
        pq.write_table(pa.table({"text": texts}), tmp_path / f"{number}.parquet", row_group_size=10)
        wanted |= {40 * number + row: text for row, text in enumerate(texts)}
    data = bytearray((tmp_path / "1.parquet").read_bytes())
    second = pq.ParquetFile(tmp_path / "1.parquet").metadata.row_group(1).column(0).data_page_offset
    data[second : second + 20] = b"\xff" * 20
    (tmp_path / "1.parquet").write_bytes(data)
    files = InputFiles(str(tmp_path), **grouping)
    found, steps = ids_of(files, max_failed_fraction=1.0)
    assert steps.num_rows == 160
    assert found == {id_: text for id_, text in wanted.items() if id_ in found}
    assert set(found) >= {*range(50), *range(80, 160)}
    assert len(found) < 160


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r", b" ", b"{", b"a", b"\t", b"\x0b", b"\xc2\xa0"])).map(b"".join))
def test_lines_are_counted_unless_they_are_blank(data):
    assert count_lines(data) == sum(bool(line.strip()) for line in data.split(b"\n"))


LINES = st.sampled_from(
    ["", " ", "\t", "{broken", '"text"', '{"text": "GOOD"}', ' {"text": "GOOD", "x": NaN}', '{"text": null}']
)


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, max_size=30), st.sampled_from(["\n", "\r\n"]), st.integers(1, 200))
def test_a_record_has_its_number_wherever_the_file_is_cut(tmp_path_factory, lines, end, block):
    folder = tmp_path_factory.mktemp("in")
    (folder / "a.jsonl").write_bytes(end.join(lines).replace("GOOD", "good").encode())
    (folder / "b.jsonl").write_text('{"text": "last"}')
    records = [line for line in lines if line.strip()]
    wanted = {at: "good" if "GOOD" in line else None for at, line in enumerate(records) if line.lstrip()[:2] == '{"'}
    found, _ = ids_of(InputFiles(str(folder), "jsonl", blocksize=block), max_failed_fraction=1.0)
    assert found == {**wanted, len(records): "last"}


def test_what_a_checkpoint_holds_of_rows_with_other_numbers_is_not_taken_again(tmp_path):
    files = InputFiles(str(tmp_path / "in"), "jsonl", files_per_partition=1)
    settings = {"checkpoint_path": tmp_path / "checkpoint", "on_change": "redo"}
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.jsonl").write_text('{"text": "b"}\n')
    assert ids_of(files, **settings)[0] == {0: "b"}
    (tmp_path / "in/a.jsonl").write_text('{"text": "a"}\n')
    assert ids_of(files, **settings)[0] == {0: "a", 1: "b"}


def test_a_part_that_is_given_twice_is_refused(lines):
    tasks = [FileGroupTask("in", [f"{lines[0]}/c.jsonl"], task_id=str(number)) for number in range(2)]
    with pytest.raises(InputError, match=r"c\.jsonl is in the initial_tasks twice"):
        here().number_rows(InputFiles(input_filetype="jsonl"), tasks)


def test_a_workflow_is_no_job_of_a_slurm_array(monkeypatch):
    monkeypatch.setenv("NEMO_CURATOR_SLURM_ARRAY_SHARD_INDEX", "0")
    monkeypatch.setenv("NEMO_CURATOR_SLURM_ARRAY_TOTAL_SHARDS", "2")
    with pytest.raises(ContractError, match="must see all documents, and a job of a Slurm array sees its share"):
        here()


def test_what_is_not_there_is_said_before_anything_is_read(lines):
    with pytest.raises(ValueError, match="input_path to the dataset must be provided"):
        here().number_rows(InputFiles())
    with pytest.raises(ValueError, match="unknown input_filetype 'csv'"):
        InputFiles("in", "csv")
    with pytest.raises(ValueError, match="initial_tasks are FileGroupTasks"):
        here().number_rows(InputFiles(), ["a.jsonl"])
    files = InputFiles(lines[0], "jsonl")
    steps = here()
    with pytest.raises(InputError, match=r"none of \['txt', '_curator_dedup_id'\]|none of \['txt'\]"):
        steps.run("read", [files.reader(["txt"])], steps.number_rows(files))


@pytest.mark.parametrize("hashes", [True, False])
def test_records_that_came_after_they_were_counted_are_named(tmp_path, hashes):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{number}"}}\n' for number in range(3)))
    files = InputFiles(str(path), "jsonl")
    reader = files.reader(["text"])
    stage = (
        HashDocuments(reader, "text", CURATOR_DEDUP_ID_STR) if hashes else TextLineReader(["text"], _row_numbers=True)
    )
    with here() as steps:
        tasks = steps.number_rows(files)
        with path.open("a") as file:
            file.write('{"text": "late"}\n')
        with pytest.raises(RunFailedError, match=r"more records than were counted.*a\.jsonl:4"):
            steps.run("read", [stage], tasks)
    account = steps.result.runs["read"].stages[0]
    assert (account.rows_in, account.rows_out, account.rows_failed) == (4, 3, 1)


@given(st.lists(st.integers(0, 6000), max_size=30), st.booleans(), st.binary(max_size=3))
def test_lines_are_found_however_long_they_are(lengths, has_end, blank):
    parts = [b"x" * length if length else blank.replace(b"\n", b" ") for length in lengths]
    data = b"\n".join(parts) + b"\n" * (has_end and bool(parts))
    starts, is_record = find_lines(data)
    found = data.split(b"\n")[: -1 if data.endswith(b"\n") or not data else None]
    edges = [*starts, len(data)]
    assert [data[one:other].rstrip(b"\n") for one, other in pairwise(edges)] == found
    assert is_record.tolist() == [bool(line.strip()) for line in found]
