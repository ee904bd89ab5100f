import bz2
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.removal import COPIES
from nemo_curator.stages.deduplication.steps import InputFiles
from nemo_curator.stages.text.deduplication.cuts import Cuts, PartCutter
from nemo_curator.stages.text.deduplication.rewriting import RewriteFilesStage, Rewriting
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.tasks import FileGroupTask


class TheseCuts(Cuts):
    """Cuts that are at hand: the numbers of lines by document."""

    def __init__(self, lines):
        super().__init__()
        self.lines = {id_: np.array([[number, number + 1] for number in numbers]) for id_, numbers in lines.items()}

    def of(self, ids):
        return {id_: cuts for id_, cuts in self.lines.items() if id_ in ids}


def rewritten(path, target, filetype, lines, numbers, **settings):
    metadata = {ROW_NUMBERS: [numbers], COPIES: [target.name]}
    task = FileGroupTask(dataset_name="", data=[str(path)], _metadata=metadata)
    reader = InputFiles(input_filetype=filetype).reader([])
    rewriting = Rewriting("text", PartCutter(), TheseCuts(lines), **settings)
    pipeline = Pipeline("rewrite", stages=[RewriteFilesStage(str(target.parent), reader, rewriting)])
    made = pipeline.run(LocalExecutor(num_workers=0), [task], max_failed_fraction=0.3)
    return made[0]._metadata, pipeline.last_run.stages[0]


LINES = [
    b'{"id": 1.50, "text": "a\\nb",  "x": {"y":[1 ,2]}}\n',
    b"\n",
    b'{"text":"\\u00e9\\nb","big":123456789012345678901234567890}\r\n',
    b"{broken\n",
    b'{"text": "c\\nb"}\n',
    b'{"n": NaN, "text": "d\\nb"}',
]


@pytest.mark.parametrize(
    ("suffix", "pack", "unpack"),
    [("", bytes, bytes), (".gz", gzip.compress, gzip.decompress), (".bz2", bz2.compress, bz2.decompress)],
)
def test_lines_that_lose_nothing_are_copied_and_of_the_others_the_text_alone_changes(tmp_path, suffix, pack, unpack):
    path, target = tmp_path / f"in.jsonl{suffix}", tmp_path / "out" / f"in.jsonl{suffix}"
    path.write_bytes(pack(b"\xef\xbb\xbf" + b"".join(LINES)))
    facts, counted = rewritten(path, target, "jsonl", {11: [0], 14: [1]}, [10, 15])
    kept = unpack(target.read_bytes()).split(b"\n")
    assert kept[0] == b"\xef\xbb\xbf" + LINES[0][:-1]
    assert kept[1:3] == [b"", b'{"text":"b","big":123456789012345678901234567890}\r']
    assert kept[3] == LINES[4][:-1]
    assert json.loads(kept[4]) == pytest.approx({"n": float("nan"), "text": "d"}, nan_ok=True)
    assert (facts["edited"], facts["removed_chars"], facts["num_rows"]) == (2, 4, 4)
    assert (counted.rows_in, counted.rows_out, counted.rows_failed) == (5, 4, 1)


def test_documents_that_are_empty_or_lose_too_much_are_dropped_and_counted(tmp_path):
    path, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    texts = ["a\nb", "abc\n", "long line\nb", ""]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    lines = {0: [0], 1: [0], 2: [1]}
    facts, counted = rewritten(path, target, "jsonl", lines, [0, 4], max_removed_fraction=0.5, removed_field="gone")
    assert [json.loads(line) for line in target.open()] == [
        {"text": "long line", "gone": 2 / 11},
        {"text": "", "gone": 0.0},
    ]
    assert facts["dropped"] == {"max_removed_fraction": 1, "empty": 1} == dict(counted.dropped)
    assert (counted.rows_in, counted.rows_out) == (4, 2)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
@pytest.mark.parametrize("removed_field", [None, "gone"])
def test_parquet_keeps_its_schema_and_all_other_columns(tmp_path, kind, removed_field):
    texts = [f"{row}\nb" for row in range(9)] + [None]
    schema = pa.schema([pa.field("x", pa.list_(pa.int8())), pa.field("text", kind, metadata={"a": "b"})])
    table = pa.table({"x": [[row] for row in range(10)], "text": pa.array(texts, pa.string()).cast(kind)}, schema)
    path, target = tmp_path / "in.parquet", tmp_path / "out" / "in.parquet"
    pq.write_table(table, path, row_group_size=4)
    rewritten(path, target, "parquet", {101: [1], 105: [0, 1]}, [100, 110], removed_field=removed_field)
    made = pq.ParquetFile(target)
    assert made.schema_arrow.remove_metadata().names == ["x", "text", *([removed_field] if removed_field else [])]
    assert made.schema_arrow.field("text").equals(pq.ParquetFile(path).schema_arrow.field("text"), check_metadata=True)
    rows = made.read().to_pylist()
    assert [row["x"][0] for row in rows] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [row["text"] for row in rows] == [*texts[:1], "1", *texts[2:5], *texts[6:]]
    if removed_field:
        assert [row["gone"] for row in rows] == [0, 2 / 3, *[0] * 7]


@pytest.mark.parametrize(("records", "what"), [(2, "more"), (4, "fewer")])
def test_a_file_that_has_changed_since_its_records_were_counted_fails(tmp_path, records, what):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n' * 3)
    with pytest.raises(RunFailedError, match=f"holds {what} records than were counted"):
        rewritten(path, tmp_path / "out.jsonl", "jsonl", {}, [0, records])
    assert not (tmp_path / "out.jsonl").exists()
