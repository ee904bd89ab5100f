import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.errors import InputError
from nemo_curator.utils.split_large_files import main, split_jsonl_file_by_size, split_parquet_file_by_size

MIB = 2**20


def test_lines_are_divided_and_none_is_changed(tmp_path):
    source = tmp_path / "big.jsonl"
    lines = [json.dumps({"id": at, "text": "é" * 1000}, ensure_ascii=False) + "\n" for at in range(1200)]
    lines[7] = json.dumps({"long": "x" * 2 * MIB}) + "\n"
    source.write_text("".join(lines))
    made = split_jsonl_file_by_size(str(source), str(tmp_path / "out"), 1)
    assert [path.rpartition("/")[2] for path in made] == [f"big_{at}.jsonl" for at in range(len(made))]
    parts = [(tmp_path / "out" / f"big_{at}.jsonl").read_bytes() for at in range(len(made))]
    assert b"".join(parts) == source.read_bytes()
    assert all(part.endswith(b"}\n") for part in parts)
    assert len(made) > 2


def test_a_compressed_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="it is compressed; decompress it first"):
        split_jsonl_file_by_size(str(tmp_path / "a.jsonl.gz"), str(tmp_path), 1)


def test_rows_are_divided_and_keep_their_order(tmp_path):
    table = pa.table({"id": range(3000), "text": [str(at) * 300 for at in range(3000)]})
    pq.write_table(table, tmp_path / "big.parquet", compression="none", row_group_size=700, use_dictionary=False)
    made = split_parquet_file_by_size(str(tmp_path / "big.parquet"), str(tmp_path / "out"), 1)
    assert len(made) == 4
    assert pa.concat_tables([pq.read_table(path) for path in made]) == table


def test_one_row_larger_than_the_target_ends_in_a_file_of_its_own(tmp_path):
    pq.write_table(pa.table({"text": ["x" * 2 * MIB]}), tmp_path / "big.parquet", compression="none")
    assert len(split_parquet_file_by_size(str(tmp_path / "big.parquet"), str(tmp_path / "out"), 1)) == 1


def test_the_command_splits_every_file_of_a_folder(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.jsonl").write_text('{"a": 1}\n')
    out = str(tmp_path / "out")
    main(["--input-path", str(tmp_path / "in"), "--file-type", "jsonl", "--output-path", out])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_0.jsonl", "b_0.jsonl"]
    assert capsys.readouterr().out.count(": 1 files") == 2
