import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.stages.text.deduplication.substrings import SubstringDeduplicationWorkflow
from nemo_curator.stages.text.deduplication.substrings.stages import AnchorsStage, ContextsStage, RepeatsStage

HERE = LocalExecutor(num_workers=0)
NOTICE = "we use cookies — “to give” you the best experience éè on this site, "


def documents(count, seed=0):
    draw = random.Random(seed)

    def words(most):
        return " ".join(f"w{draw.randrange(10**6)}" for _ in range(draw.randrange(most)))

    made = []
    for _ in range(count):
        text = words(20)
        if draw.random() < 0.5:
            text += NOTICE * draw.choice([1, 1, 2])
        if made and draw.random() < 0.3:
            other = draw.choice(made)
            text += other[draw.randrange(len(other) + 1) :]
        made.append(text + words(20) + "-" * draw.choice([0, 0, 50, 150]))
    return made


def write(folder, texts, filetype="jsonl"):
    folder.mkdir()
    for number, part in enumerate((texts[: len(texts) // 3], texts[len(texts) // 3 :])):
        path = folder / f"{number}.{filetype}"
        if filetype == "jsonl":
            path.write_text("".join(json.dumps({"text": text}, ensure_ascii=bool(number)) + "\n" for text in part))
        else:
            pq.write_table(pa.table({"text": part}), path, row_group_size=7)


def read(folder, filetype="jsonl"):
    found = []
    for path in sorted(folder.rglob(f"*.{filetype}")):
        rows = map(json.loads, path.open()) if filetype == "jsonl" else pq.read_table(path).to_pylist()
        found += [row["text"] for row in rows]
    return found


def wanted(texts, min_length, keep_first=True):
    """What is left by the definition, of documents of which something is."""
    raw = [text.encode() for text in texts]
    places = {}
    for row, data in enumerate(raw):
        for at in range(len(data) - min_length + 1):
            places.setdefault(data[at : at + min_length], []).append((row, at))
    gone = [bytearray(len(data)) for data in raw]
    for equal in places.values():
        for row, at in equal if len(equal) > 1 else []:
            others = [place for place in equal if place[0] != row or abs(place[1] - at) >= min_length]
            if any(place < (row, at) for place in others) or (others and not keep_first):
                gone[row][at : at + min_length] = b"\1" * min_length
    left = []
    for text, marks in zip(texts, gone):
        at, kept = 0, ""
        for char in text:
            size = len(char.encode())
            kept += "" if all(marks[at : at + size]) else char
            at += size
        left += [kept] if kept == text or kept.strip() else []
    return left


def run(tmp_path, filetype="jsonl", executor=HERE, settings=None, **more):
    workflow = SubstringDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), filetype, **more)
    return workflow.run(executor=executor, **(settings or {}))


@pytest.mark.parametrize("filetype", ["jsonl", "parquet"])
@pytest.mark.parametrize("keep", ["first", "none"])
@pytest.mark.parametrize("min_length", [40, 75])
def test_what_is_left_is_what_the_definition_leaves(tmp_path, filetype, keep, min_length):
    texts = documents(60)
    write(tmp_path / "in", texts, filetype)
    result = run(tmp_path, filetype, keep=keep, min_length=min_length)
    left = wanted(texts, min_length, keep == "first")
    assert read(tmp_path / "out" / "deduplicated", filetype) == left
    assert result.metadata["num_dropped"] == len(texts) - len(left)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["deduplicated"]


def test_the_result_does_not_depend_on_blocks(tmp_path):
    texts = documents(60, seed=1)
    write(tmp_path / "in", texts)
    run(tmp_path, min_length=60, input_blocksize=3000)
    assert read(tmp_path / "out" / "deduplicated") == wanted(texts, 60)


@pytest.mark.ray
def test_substrings_are_removed_on_ray_as_here(tmp_path, ray_cluster):
    from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor

    texts = documents(40, seed=4)
    write(tmp_path / "in", texts)
    run(tmp_path, executor=RayActorPoolExecutor(), min_length=60)
    assert read(tmp_path / "out" / "deduplicated") == wanted(texts, 60)


def test_many_buckets_and_tables_that_are_too_small_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("nemo_curator.stages.text.deduplication.steps._BUCKET_BYTES", 2**15)
    monkeypatch.setattr("nemo_curator.stages.text.deduplication.substrings.workflow._KEY_TABLE_BYTES", 16)
    monkeypatch.setattr("nemo_curator.stages.text.deduplication.substrings.stages._PART_BYTES", 100)
    texts = documents(40, seed=2)
    write(tmp_path / "in", texts)
    run(tmp_path, min_length=50, settings={"checkpoint_path": str(tmp_path / "checkpoint")})
    assert read(tmp_path / "out" / "deduplicated") == wanted(texts, 50)
    assert len(list((tmp_path / "out" / "substring_contexts").glob("[0-9]*"))) > 8


@pytest.mark.parametrize("broken", [ContextsStage, RepeatsStage])
def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path, monkeypatch, broken):
    texts = documents(40, seed=3)
    write(tmp_path / "in", texts)
    settings = {"checkpoint_path": str(tmp_path / "checkpoint")}
    with monkeypatch.context() as patch:
        patch.setattr(broken, "process", lambda *_: 1 / 0)
        with pytest.raises(RunFailedError):
            run(tmp_path, settings=settings, min_length=50)
    monkeypatch.setattr(AnchorsStage, "process", lambda *_: 1 / 0)
    run(tmp_path, settings=settings, min_length=50)
    assert read(tmp_path / "out" / "deduplicated") == wanted(texts, 50)


def test_a_notice_in_every_document_is_held_once_for_each_part(tmp_path):
    texts = [f"{number:0200}{NOTICE * 4}{number * 7919:0200}" for number in range(300)]
    write(tmp_path / "in", texts)
    run(tmp_path, settings={"checkpoint_path": str(tmp_path / "checkpoint")})
    left = read(tmp_path / "out" / "deduplicated")
    assert sum(NOTICE in text for text in left) == 1
    assert all(len(text) < 460 for text in left[1:])


def test_texts_without_long_repeats_come_out_as_they_went_in(tmp_path):
    write(tmp_path / "in", ["short", "", "another one", "short"])
    result = run(tmp_path)
    for path in (tmp_path / "in").iterdir():
        assert (tmp_path / "out" / "deduplicated" / path.name).read_bytes() == path.read_bytes()
    assert result.metadata["num_edited"] == 0


@pytest.mark.parametrize("settings", [{"min_length": 7}, {"keep": "last"}, {"max_removed_fraction": -1}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match="wanted"):
        SubstringDeduplicationWorkflow("out", "in", **settings)
