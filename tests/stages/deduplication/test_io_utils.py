import pandas as pd
import pytest

from nemo_curator.stages.deduplication.id_generator import (
    CURATOR_DEDUP_ID_STR,
    IdGeneratorBase,
    create_id_generator_actor,
    kill_id_generator_actor,
)
from nemo_curator.stages.deduplication.io_utils import DeduplicationIO


def test_groups_of_files_are_read_with_ids_and_written(tmp_path):
    io = DeduplicationIO(IdGeneratorBase(start_id=10))
    path = str(tmp_path / "a.parquet")
    io.write_parquet(pd.DataFrame({"text": ["a", "b"], "n": [1, 2]}), path, compression="snappy")
    (tmp_path / "b.jsonl").write_text('{"text": "c", "n": 3}\n')
    assert io.read_parquet(path, ["text"]).to_dict("list") == {"text": ["a", "b"]}
    assert io.read_jsonl(str(tmp_path / "b.jsonl"), assign_id=True)[CURATOR_DEDUP_ID_STR].tolist() == [10]
    both = io.read_parquet([path, path], ["text"], assign_id=True)
    assert both.to_dict("list") == {"text": ["a", "b", "a", "b"], CURATOR_DEDUP_ID_STR: [11, 12, 13, 14]}
    assert io.read_parquet([path, path], assign_id=True)[CURATOR_DEDUP_ID_STR].tolist() == [11, 12, 13, 14]


def test_ids_that_are_there_stay():
    frame = pd.DataFrame({CURATOR_DEDUP_ID_STR: [5]})
    assert DeduplicationIO(IdGeneratorBase()).assign_id("x", frame)[CURATOR_DEDUP_ID_STR].tolist() == [5]


def test_the_generator_that_is_running_gives_the_ids():
    with pytest.raises(ValueError, match="there is no id generator"):
        DeduplicationIO().assign_id("x", pd.DataFrame({"a": [1]}))
    create_id_generator_actor()
    try:
        assert DeduplicationIO().assign_id("x", pd.DataFrame({"a": [1]}))[CURATOR_DEDUP_ID_STR].tolist() == [0]
    finally:
        kill_id_generator_actor()
