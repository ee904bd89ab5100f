"""Fuzzy deduplication step by step: signatures, bands, edges, groups, ids."""

import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.fuzzy.buckets_to_edges import BucketsToEdgesStage
from nemo_curator.stages.deduplication.fuzzy.connected_components import ConnectedComponentsStage
from nemo_curator.stages.deduplication.fuzzy.identify_duplicates import DUPLICATE_IDS_SUBDIR, IdentifyDuplicatesStage
from nemo_curator.stages.deduplication.fuzzy.lsh.stage import LSHStage
from nemo_curator.stages.deduplication.fuzzy.minhash import MinHashStage
from nemo_curator.stages.deduplication.id_generator import create_id_generator_actor, kill_id_generator_actor
from nemo_curator.stages.deduplication.steps import InputFiles, Steps
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.tasks import DocumentBatch, FileGroupTask

TEXTS = {
    1: "A test string",
    2: "A different test string",
    300: "A different object",
    4: "The quick brown fox jumps over the lazy dog",
    -1: "The quick black cat jumps over the lazy dog",
}
GROUPS = {frozenset({1, 2, 300}), frozenset({4, -1})}


def batches(texts, size=3, kind=None):
    ids = pa.array(texts, kind) if kind else pa.array(texts)
    table = pa.table({"_curator_dedup_id": ids, "text": pa.array(texts.values(), pa.string())})
    return [
        DocumentBatch("some", table.slice(at, size), _metadata={"source_files": [f"{at}"]})
        for at in range(0, len(table), size)
    ]


def stages(folder, bands=5, rows=1, **settings):
    signing = {name: settings[name] for name in ("char_ngrams", "use_64bit_hash", "method") if name in settings}
    lsh = {name: settings[name] for name in ("total_nparts", "bands_per_iteration") if name in settings}
    return [
        MinHashStage(str(folder), num_hashes=bands * rows, **{"char_ngrams": 5, **signing}),
        LSHStage(bands, rows, output_path=str(folder), **lsh),
        BucketsToEdgesStage(str(folder)),
        ConnectedComponentsStage(str(folder)),
        IdentifyDuplicatesStage(output_path=str(folder)),
    ]


def run(executor, tasks, *some):
    return Pipeline("fuzzy", stages=list(some)).run(executor, tasks)


def here(workers=0):
    return LocalExecutor(num_workers=workers)


def tables(folder, name):
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / name).rglob("*.parquet"))])


def groups(folder):
    found = {}
    for row in tables(folder, "ConnectedComponentsStage").to_pylist():
        found.setdefault(row["_duplicate_group_id"], set()).add(row["_curator_dedup_id"])
    assert all(name == min(members) for name, members in found.items())
    return set(map(frozenset, found.values()))


def files(folder, *names):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in names
        for path in sorted((folder / name).rglob("*.parquet"))
    }


@pytest.mark.parametrize("use_64bit_hash", [False, True])
@pytest.mark.parametrize("bands", [5, 10])
def test_documents_that_share_a_band_are_a_group_and_the_lowest_id_stays(tmp_path, bands, use_64bit_hash):
    minhash, lsh, *rest = stages(tmp_path, bands, use_64bit_hash=use_64bit_hash, total_nparts=4)
    signed = run(here(), batches(TEXTS), minhash)
    assert {"minhash_field", "num_hashes", "num_rows"} <= set(signed[0]._metadata)
    assert "storage_options" not in signed[0]._metadata
    shared = run(here(), signed, lsh)
    ids = run(here(), shared, *rest)
    assert groups(tmp_path) == GROUPS
    assert sorted(tables(tmp_path, DUPLICATE_IDS_SUBDIR)["_curator_dedup_id"].to_pylist()) == [2, 4, 300]
    assert sum(task._metadata["num_removal_ids"] for task in ids) == 3
    for first in range(0, bands, 5):
        folder = tmp_path / "LSHStage" / f"band_{first}-band_{first + 5}"
        assert sorted(path.name for path in folder.iterdir()) == [f"part.{part}.parquet" for part in range(4)]


def test_the_files_have_the_documented_columns(tmp_path):
    run(here(), batches(TEXTS), *stages(tmp_path))
    kinds = {
        "MinHashStage": {"_curator_dedup_id": pa.int64(), "_minhash_signature": pa.list_(pa.uint32())},
        "LSHStage": {"_bucket_id": pa.string(), "_curator_dedup_id": pa.large_list(pa.int64())},
        "BucketsToEdgesStage": {"_curator_dedup_id_x": pa.int64(), "_curator_dedup_id_y": pa.int64()},
        "ConnectedComponentsStage": {"_curator_dedup_id": pa.int64(), "_duplicate_group_id": pa.int64()},
        "FuzzyDuplicateIds": {"_curator_dedup_id": pa.int64()},
    }
    for name, columns in kinds.items():
        schema = tables(tmp_path, name).schema
        assert dict(zip(schema.names, schema.types)) == columns
    for row in tables(tmp_path, "LSHStage").to_pylist():
        assert row["_bucket_id"].startswith("b")
        assert row["_curator_dedup_id"] == sorted(row["_curator_dedup_id"])
        assert len(row["_curator_dedup_id"]) > 1


def test_groups_do_not_depend_on_workers_batches_or_where_it_is_cut_into_pipelines(tmp_path):
    run(here(), batches(TEXTS), *stages(tmp_path / "a"))
    first, second, *rest = stages(tmp_path / "b")
    run(here(), run(here(2), run(here(), batches(TEXTS, size=1), first), second), *rest)
    tasks = batches(dict(reversed(TEXTS.items())))
    for stage in stages(tmp_path / "c"):
        tasks = run(here(), tasks, stage)
    results = [files(tmp_path / name, DUPLICATE_IDS_SUBDIR) for name in "abc"]
    assert results[0] == results[1] == results[2]
    assert groups(tmp_path / "a") == groups(tmp_path / "b") == groups(tmp_path / "c") == GROUPS


@pytest.mark.ray
def test_groups_are_the_same_on_xenna(tmp_path, ray_cluster):
    run(XennaExecutor(), batches(TEXTS), *stages(tmp_path, total_nparts=2))
    assert groups(tmp_path) == GROUPS
    assert sorted(tables(tmp_path, DUPLICATE_IDS_SUBDIR)["_curator_dedup_id"].to_pylist()) == [2, 4, 300]


def test_bands_per_iteration_changes_the_folders_and_not_the_groups(tmp_path):
    run(here(), batches(TEXTS), *stages(tmp_path, 5, bands_per_iteration=2))
    assert sorted(path.name for path in (tmp_path / "LSHStage").glob("band*")) == [
        "band_0-band_2",
        "band_2-band_4",
        "band_4-band_5",
    ]
    names = {row["_bucket_id"].partition("_")[0] for row in tables(tmp_path, "LSHStage").to_pylist()}
    assert names <= {"b0", "b1"}
    assert groups(tmp_path) == GROUPS


def test_ids_may_be_text(tmp_path):
    texts = {f"document {name}": text for name, text in TEXTS.items()}
    run(here(), batches(texts), *stages(tmp_path, total_nparts=8))
    assert groups(tmp_path) == {frozenset(f"document {name}" for name in group) for group in GROUPS}


def test_a_document_without_a_text_is_in_no_group_and_empty_ones_are_in_one(tmp_path):
    texts = {1: None, 2: "", 3: None, 4: "", 5: "another text"}
    pipeline = Pipeline("fuzzy", stages=stages(tmp_path))
    pipeline.run(here(), batches(texts))
    assert groups(tmp_path) == {frozenset({2, 4})}
    signed = tables(tmp_path, "MinHashStage").to_pydict()
    assert dict(zip(signed["_curator_dedup_id"], signed["_minhash_signature"]))[2] == [0] * 5
    assert dict(zip(signed["_curator_dedup_id"], signed["_minhash_signature"]))[3] is None
    assert {stage.stage: stage.dropped for stage in pipeline.last_run.stages}["cut_bands"] == {"no_text": 2}


def test_where_nothing_is_shared_all_files_are_there_and_empty(tmp_path):
    texts = {1: "abcdefgh", 2: "ijklmnop"}
    last = run(here(), batches(texts), *stages(tmp_path, total_nparts=2))
    assert tables(tmp_path, "LSHStage").num_rows == 0
    assert tables(tmp_path, DUPLICATE_IDS_SUBDIR).num_rows == 0
    assert [task._metadata["num_removal_ids"] for task in last] == [0]


def written(folder, **more):
    """The texts in two files of lines."""
    folder.mkdir()
    lines = [json.dumps({"text": text, **dict.fromkeys(more, name)}) for name, text in TEXTS.items()]
    (folder / "a.jsonl").write_text("\n".join(lines[:3]) + "\n")
    (folder / "b.jsonl").write_text("\n".join(lines[3:]) + "\n")
    return str(folder)


def reading(folder, **settings):
    first, *rest = stages(folder, **settings)
    first.read_format = "jsonl"
    return first, *rest


def test_files_are_read_with_ids_of_their_own(tmp_path):
    folder = written(tmp_path / "in", _curator_dedup_id=True)
    run(here(), None, FilePartitioningStage(folder), *reading(tmp_path))
    assert groups(tmp_path) == GROUPS


def test_files_are_read_with_the_ids_of_the_generator_or_with_their_row_numbers(tmp_path):
    folder = written(tmp_path / "in")
    create_id_generator_actor()
    try:
        run(here(), None, FilePartitioningStage(folder), *reading(tmp_path / "a"))
    finally:
        kill_id_generator_actor()
    tasks = Steps("steps", here()).number_rows(InputFiles(folder, "jsonl"))
    run(here(), tasks, *reading(tmp_path / "b"))
    assert groups(tmp_path / "a") == groups(tmp_path / "b") == {frozenset({0, 1, 2}), frozenset({3, 4})}


def test_signatures_can_be_read_back_and_cut_into_bands_again(tmp_path):
    minhash, lsh, *rest = stages(tmp_path)
    run(here(), batches(TEXTS), minhash)
    find = FilePartitioningStage(str(tmp_path / "MinHashStage"), file_extensions=[".parquet"])
    run(here(), None, find, lsh, *rest)
    assert groups(tmp_path) == GROUPS
    with pytest.raises(RunFailedError, match=r"\[5\] hashes; wanted 30"):
        run(here(), None, find, LSHStage(6, 5, output_path=str(tmp_path)))


def test_the_fast_method_finds_what_is_nearly_the_same(tmp_path):
    text = "the quick brown fox jumps over the lazy dog and runs into the dark forest, where nobody will find it. "
    texts = {1: text * 3, 2: text * 3 + "really", 3: text[::-1] * 3, 4: "something else altogether, and short"}
    run(here(), batches(texts), *stages(tmp_path, 20, 13, char_ngrams=24, method="fast"))
    assert groups(tmp_path) == {frozenset({1, 2})}


def test_nothing_is_touched_before_the_run_and_nothing_of_the_user_in_it(tmp_path):
    for stage in stages(tmp_path):
        assert stage.name
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "MinHashStage").mkdir()
    (tmp_path / "MinHashStage" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"mine\.txt, which no run has made"):
        run(here(), batches(TEXTS), stages(tmp_path)[0])
    assert (tmp_path / "MinHashStage" / "mine.txt").read_text() == "mine"


def test_a_second_run_leaves_nothing_of_the_first(tmp_path):
    run(here(), batches(TEXTS, size=1), *stages(tmp_path, 10, total_nparts=4))
    run(here(), batches({7: "a text", 8: "a text"}), *stages(tmp_path, 5, total_nparts=2))
    assert groups(tmp_path) == {frozenset({7, 8})}
    assert len(list((tmp_path / "LSHStage").rglob("*.parquet"))) == 2


def test_a_stage_does_not_empty_the_folder_that_it_reads(tmp_path):
    run(here(), batches(TEXTS), stages(tmp_path)[0])
    paths = [str(path) for path in (tmp_path / "MinHashStage").glob("*.parquet")]
    again = MinHashStage(str(tmp_path), read_format="parquet")
    with pytest.raises(ValueError, match="refused to empty"):
        run(here(), [FileGroupTask("some", paths)], again)
    assert all(Path(path).exists() for path in paths)


def test_what_a_stage_lacks_is_said(tmp_path):
    with pytest.raises(RuntimeError, match="Call setup\\(\\) first"):
        MinHashStage(str(tmp_path)).process(batches(TEXTS)[0])
    stage = MinHashStage(str(tmp_path))
    stage.setup()
    with pytest.raises(ValueError, match="give read_format"):
        stage.process(FileGroupTask("some", ["a.jsonl"]))
    stage.read_format = "jsonl"
    with pytest.warns(UserWarning, match="documents came that were read"):
        stage.process(batches(TEXTS)[0])
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(InputError, match="number the files"):
        stage.process(FileGroupTask("some", [str(tmp_path / "a.jsonl")]))
    with pytest.raises(ValueError, match=r"between \[1, num_bands\]"):
        LSHStage(4, 2)
    with pytest.raises(ValueError, match="columns in read_kwargs"):
        LSHStage(5, 2, read_kwargs={"columns": ["a"]})
    with pytest.warns(UserWarning, match="'engine'"):
        BucketsToEdgesStage(str(tmp_path), read_kwargs={"engine": "pyarrow"})


def test_a_run_that_goes_on_leaves_what_is_done(tmp_path):
    names = ("MinHashStage", "LSHStage", "BucketsToEdgesStage", "ConnectedComponentsStage", DUPLICATE_IDS_SUBDIR)
    made = []
    for _ in range(2):
        pipeline = Pipeline("fuzzy", stages=stages(tmp_path / "out"))
        pipeline.run(here(), batches(TEXTS), tmp_path / "checkpoint")
        made.append({path: path.stat().st_mtime_ns for name in names for path in (tmp_path / "out" / name).rglob("*")})
    assert made[0] == made[1]
    assert groups(tmp_path / "out") == GROUPS


def test_the_files_may_be_behind_urls():
    folder = "memory://fuzzy/steps"
    last = run(here(), batches(TEXTS), *stages(folder))
    run(here(), batches(TEXTS), *stages(folder))  # over what is there
    with fsspec.open(last[0].data[0]) as file:
        assert pq.read_table(file)["_curator_dedup_id"].to_pylist() == [2, 4, 300]


def test_many_short_documents_are_signed_and_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("nemo_curator.stages.deduplication.fuzzy.minhash._WRITTEN_AT_ONCE", 2)
    run(here(), batches(TEXTS, size=5), *stages(tmp_path))
    (path,) = (tmp_path / "MinHashStage").glob("*.parquet")
    assert pq.ParquetFile(path).num_row_groups == 3
    assert groups(tmp_path) == GROUPS
