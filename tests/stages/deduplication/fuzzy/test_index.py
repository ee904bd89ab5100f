import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CuratorError
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from tests.stages.deduplication.fuzzy.near_duplicates import (
    changed,
    clusters,
    document,
    jaccard,
    removed_ids,
    write_files,
)

OLD = [document(seed) for seed in range(30)]
NEW = [document(seed) for seed in range(100, 120)]
FIRST = [" ".join(words) for words in [*OLD, changed(OLD[0], "again", 1)]]
SECOND = [" ".join(words) for words in [*NEW, *(changed(words, "new", 2) for words in OLD[5:15]), NEW[0]]]


def dedup(root, name, texts, running=None, **settings):
    folder = root / "in" / name
    if not folder.exists():
        write_files(folder, texts, files=2)
    workflow = FuzzyDeduplicationWorkflow(
        cache_path=str(root / "cache" / name),
        output_path=str(root / "out" / name),
        input_path=str(folder),
        input_filetype="jsonl",
        index_path=str(root / "index"),
        **settings,
    )
    result = workflow.run(executor=LocalExecutor(num_workers=0), **(running or {}))
    shutil.rmtree(folder)
    return result, root / "out" / name


def read_index(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.joinpath("index").rglob("*.*"))
        if path.is_file()
    }


@pytest.mark.parametrize("shingles", [False, True])
def test_a_delivery_is_compared_with_what_stays_of_the_earlier_ones(tmp_path, shingles):
    dedup(tmp_path, "a", FIRST, index_shingles=shingles)
    result, output = dedup(tmp_path, "b", SECOND, index_shingles=shingles)
    found = clusters(output)
    texts = {
        **dict(enumerate([*FIRST[0::2], *FIRST[1::2]])),
        **dict(enumerate([*SECOND[0::2], *SECOND[1::2]], len(FIRST))),
    }
    by_index = {member: row for member, row in found.items() if row["survivor_id"] < len(FIRST)}
    assert len(by_index) == 10
    assert len(found) == 11 == result.metadata["num_duplicates"]
    assert min(found) >= len(FIRST)
    for member, row in found.items():
        true = jaccard(texts[member], texts[row["survivor_id"]])
        is_estimate = member in by_index and not shingles
        assert row["measured"] == ("estimate" if is_estimate else "jaccard")
        assert row["similarity"] == pytest.approx(true, abs=0.1 if is_estimate else 1e-9)
    assert removed_ids(output) == sorted(found)


def test_a_document_that_was_removed_keeps_no_other_away(tmp_path):
    words = document("far", 100)
    near, further = changed(words, "a", 2), changed(changed(words, "a", 2), "b", 2)
    texts = [" ".join(each) for each in (words, near, further)]
    assert jaccard(texts[0], texts[1]) > 0.8 > jaccard(texts[0], texts[2])
    assert jaccard(texts[1], texts[2]) > 0.8
    dedup(tmp_path, "a", texts[:2], index_shingles=True, num_bands=130, minhashes_per_band=2)
    _, output = dedup(tmp_path, "b", texts[2:], index_shingles=True, num_bands=130, minhashes_per_band=2)
    assert removed_ids(output) == []


def test_the_same_delivery_twice_changes_neither_output_nor_index(tmp_path):
    dedup(tmp_path, "a", FIRST)
    _, output = dedup(tmp_path, "b", SECOND)
    found, index = clusters(output), read_index(tmp_path)
    dedup(tmp_path, "b", SECOND)
    assert clusters(output) == found
    again = {name.replace("000001-2", "000001"): data for name, data in read_index(tmp_path).items()}
    assert index.pop("index/index.json").replace(b"000001", b"000001-2") == again.pop("index/index.json")
    assert again == index
    _, other = dedup(tmp_path, "c", SECOND)
    assert len(removed_ids(other)) == len(SECOND)


def test_an_index_that_is_not_extended_stays_as_it_was(tmp_path):
    dedup(tmp_path, "a", FIRST)
    before = read_index(tmp_path)
    dedup(tmp_path, "b", SECOND, extend_index=False)
    assert read_index(tmp_path) == before


def test_buckets_of_other_sizes_fit(tmp_path):
    dedup(tmp_path, "a", FIRST * 1)
    few = dedup(tmp_path / "x", "a", FIRST)
    shutil.copytree(tmp_path / "index", tmp_path / "y" / "index")
    assert few
    _, output = dedup(tmp_path / "y", "b", SECOND * 40, running=None)
    shutil.copytree(tmp_path / "x" / "index", tmp_path / "z" / "index")
    _, other = dedup(tmp_path / "z", "b", SECOND * 40)
    assert clusters(output) == clusters(other)


def test_an_index_of_other_settings_is_refused(tmp_path):
    dedup(tmp_path, "a", FIRST)
    with pytest.raises(CuratorError, match="num_bands"):
        dedup(tmp_path, "b", SECOND, num_bands=10)


KILLED = """
import os, signal, sys
from pathlib import Path
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from nemo_curator.stages.deduplication.index import Index

root, name, point = sys.argv[1:]
if point.startswith("index"):  # the next step is the last, too short for a signal from elsewhere
    Index.add = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
FuzzyDeduplicationWorkflow(
    cache_path=f"{root}/cache/{name}", output_path=f"{root}/out/{name}", input_path=f"{root}/in/{name}",
    input_filetype="jsonl", index_path=f"{root}/index",
).run(executor=LocalExecutor(num_workers=0), checkpoint_path=f"{root}/checkpoint/{name}")
"""


@pytest.mark.parametrize(
    "point", ["cache/b/*/bands/*/*.parquet", "cache/b/*/texts/*/*.parquet", "index/000001/bands/*"]
)
def test_a_killed_run_leaves_the_index_as_it_was_and_the_next_one_ends_it(tmp_path, point):
    undisturbed, disturbed = tmp_path / "one", tmp_path / "other"
    dedup(undisturbed, "a", FIRST)
    shutil.copytree(undisturbed / "index", disturbed / "index")
    _, output = dedup(undisturbed, "b", SECOND)
    before = read_index(disturbed)
    write_files(disturbed / "in" / "b", SECOND, files=2)
    with subprocess.Popen([sys.executable, "-c", KILLED, str(disturbed), "b", point], cwd=Path.cwd()) as process:
        while process.poll() is None and (point.startswith("index") or not list(disturbed.glob(point))):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert list(disturbed.glob(point)) or not point.startswith("index")
    after = read_index(disturbed)
    assert {name: after[name] for name in before} == before
    _, other = dedup(disturbed, "b", SECOND, running={"checkpoint_path": str(disturbed / "checkpoint" / "b")})
    assert clusters(other) == clusters(output)
    ended = read_index(disturbed)
    assert json.loads(ended["index/index.json"])["deliveries"][1]["name"] == "000001"
    assert ended.keys() == read_index(undisturbed).keys()
