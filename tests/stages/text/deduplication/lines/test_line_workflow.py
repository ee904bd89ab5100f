import json
import random
import unicodedata

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.stages.text.deduplication.lines import LineDeduplicationWorkflow
from nemo_curator.stages.text.deduplication.lines.stages import HashLinesStage, RepeatedLinesStage

HERE = LocalExecutor(num_workers=0)
PARTS = ["Cookie notice", " cookie notice. ", "home", "page 1 of 2", "page 3 of 9", "", " ", "é", "e\u0301", "}"]


def texts_of(number, separator="\n"):
    draw = random.Random(number)
    parts = [*PARTS, *(f"a line of its own {draw.randrange(10**9)}" for _ in range(8))]
    return separator.join(draw.choices(parts, k=draw.randrange(12)))


def written(folder, texts, filetype="jsonl"):
    """Files of documents, in the order of their names; returns the texts in that order."""
    folder.mkdir()
    (folder / "b").mkdir()
    names = [f"{number}.{filetype}" for number in range(3)] + [f"b/{number}.{filetype}" for number in range(2)]
    ordered = []
    for at, name in enumerate(sorted(names)):
        mine = texts[at :: len(names)]
        ordered += mine
        if filetype == "jsonl":
            (folder / name).write_text("".join(json.dumps({"n": 1.0, "text": text}) + "\n" for text in mine))
        else:
            pq.write_table(pa.table({"n": [1.0] * len(mine), "text": mine}), folder / name)
    return ordered


def read(folder, filetype="jsonl"):
    found = []
    for path in sorted(folder.rglob(f"*.{filetype}")):
        rows = map(json.loads, path.open()) if filetype == "jsonl" else pq.read_table(path).to_pylist()
        found += [row["text"] for row in rows]
    return found


def wanted(texts, separator="\n", normal=str, keep_first=True, most=1, min_chars=1):
    key = lambda part: normal(part).strip()  # noqa: E731
    counted: dict[str, int] = {}
    for part in (part for text in texts for part in text.split(separator)):
        counted[key(part)] = counted.get(key(part), 0) + 1
    seen, left = set(), []
    for text in texts:
        kept = []
        for part in text.split(separator):
            one = key(part)
            stays = len(one) < min_chars or counted[one] <= most or (keep_first and one not in seen)
            seen.add(one)
            kept += [part] if stays else []
        joined = separator.join(kept)
        if joined == text or joined.strip():
            left.append(joined)
    return left


def run(tmp_path, filetype="jsonl", executor=HERE, settings=None, **more):
    workflow = LineDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), filetype, **more)
    return workflow.run(executor=executor, **(settings or {}))


def normal_form(text):
    text = "".join(char for char in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(char) != "Mn")
    text = "".join("0" if unicodedata.category(char) == "Nd" else char for char in text)
    return "".join(char for char in text if not unicodedata.category(char).startswith("P"))


@pytest.mark.parametrize("filetype", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("settings", "means"),
    [
        ({}, {}),
        ({"keep": "none", "max_occurrences": 3}, {"keep_first": False, "most": 3}),
        ({"max_occurrences": 9, "min_chars": 3}, {"most": 9, "min_chars": 3}),
        ({"unit": "paragraph"}, {"separator": "\n\n"}),
        ({"normalize": ["case", "accents", "digits", "punctuation"]}, {"normal": normal_form}),
        (
            {"unit": "paragraph", "normalize": ["case", "accents", "digits", "punctuation"]},
            {"separator": "\n\n", "normal": normal_form},
        ),
    ],
    ids=["default", "keep none", "longer", "paragraphs", "normalized", "normalized paragraphs"],
)
def test_lines_that_occur_too_often_are_removed_from_the_second_time_on(tmp_path, filetype, settings, means):
    texts = [texts_of(number, means.get("separator", "\n")) for number in range(60)]
    ordered = written(tmp_path / "in", texts, filetype)
    result = run(tmp_path, filetype, **settings)
    left = wanted(ordered, **means)
    assert read(tmp_path / "out" / "deduplicated", filetype) == left
    assert result.metadata["num_documents"] == 60
    assert result.metadata["num_dropped"] == 60 - len(left)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["deduplicated", "frequent.parquet"]


def test_a_line_of_which_normalizing_leaves_nothing_does_not_end_a_paragraph(tmp_path):
    (tmp_path / "in").mkdir()
    texts = ["same here\n\none\n\nA\nb", "two\n***\nthree\n\n\u0301\n\nSame here.\n\nfour\n\n\na\nB!", None, ""]
    lines = [json.dumps({"text": text}) + "\n" for text in texts]
    (tmp_path / "in" / "a.jsonl").write_text("".join(lines))
    run(tmp_path, unit="paragraph", normalize=["case", "accents", "punctuation"])
    left = ["same here\n\none\n\nA\nb", "two\n***\nthree\n\n\u0301\n\nfour", None, ""]
    assert read(tmp_path / "out" / "deduplicated") == left


def test_the_result_does_not_depend_on_blocks(tmp_path):
    ordered = written(tmp_path / "in", [texts_of(number) for number in range(80)])
    run(tmp_path, input_blocksize=700)
    assert read(tmp_path / "out" / "deduplicated") == wanted(ordered)


def test_files_behind_urls_are_read_and_written(tmp_path):
    ordered = written(tmp_path / "in", [texts_of(number) for number in range(20)])
    fs = fsspec.filesystem("memory")
    fs.put(str(tmp_path / "in"), "/lines-in", recursive=True)
    workflow = LineDeduplicationWorkflow("memory://lines-out", "memory://lines-in", "jsonl")
    result = workflow.run(executor=HERE)
    fs.get("/lines-out/deduplicated", str(tmp_path / "out"), recursive=True)
    assert read(tmp_path / "out") == wanted(ordered)
    assert result.metadata["frequent_path"] == "memory://lines-out/frequent.parquet"
    assert sorted(fs.ls("/lines-out", detail=False)) == ["/lines-out/deduplicated", "/lines-out/frequent.parquet"]


def test_the_lines_that_occur_most_are_listed_with_their_text(tmp_path):
    ordered = written(tmp_path / "in", [texts_of(number) for number in range(60)])
    result = run(tmp_path, num_frequent=3)
    counted = {}
    for line in (line.strip() for text in ordered for line in text.split("\n") if line.strip()):
        counted[line] = counted.get(line, 0) + 1
    table = pq.read_table(result.metadata["frequent_path"]).to_pylist()
    assert [row["occurrences"] for row in table] == sorted(counted.values())[:-4:-1]
    assert all(counted[row["line"]] == row["occurrences"] for row in table)


def test_the_share_that_is_removed_becomes_a_column_and_a_reason_to_drop(tmp_path):
    written(tmp_path / "in", ["same\nx", "same", "same\n12345", "same\na longer line of its own", "a\nb"])
    result = run(
        tmp_path,
        removed_field="removed",
        max_removed_fraction=0.4,
        settings={"rejected_path": str(tmp_path / "rejected")},
    )
    rows = [json.loads(line) for path in sorted((tmp_path / "out").rglob("*.jsonl")) for line in path.open()]
    assert {row["text"]: row["removed"] for row in rows} == {
        "same\nx": 0,
        "a longer line of its own": 5 / 29,
        "a\nb": 0,
    }
    assert result.metadata["dropped"] == {"empty": 1, "max_removed_fraction": 1}
    rejected = [json.loads(line) for path in (tmp_path / "rejected").rglob("*.jsonl") for line in path.open()]
    assert len(rejected) == 2


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path, monkeypatch):
    ordered = written(tmp_path / "in", [texts_of(number) for number in range(60)])
    settings = {"checkpoint_path": str(tmp_path / "checkpoint")}
    with monkeypatch.context() as patch:
        patch.setattr(RepeatedLinesStage, "process", lambda *_: 1 / 0)
        with pytest.raises(RunFailedError):
            run(tmp_path, settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(HashLinesStage, "process", lambda *_: 1 / 0)
        run(tmp_path, settings=settings)
        assert read(tmp_path / "out" / "deduplicated") == wanted(ordered)


def test_files_that_come_to_lie_before_others_are_taken_into_account(tmp_path):
    written(tmp_path / "in", [texts_of(number) for number in range(40)])
    settings = {"checkpoint_path": str(tmp_path / "checkpoint"), "on_change": "redo"}
    run(tmp_path, settings=settings)
    before = [texts_of(100)]
    (tmp_path / "in" / "0-first.jsonl").write_text(json.dumps({"text": before[0]}) + "\n")
    run(tmp_path, settings=settings)
    ordered = [
        row["text"] for path in sorted((tmp_path / "in").rglob("*.jsonl")) for row in map(json.loads, path.open())
    ]
    assert read(tmp_path / "out" / "deduplicated") == wanted(ordered)


def test_documents_without_duplicates_come_out_as_they_went_in(tmp_path):
    written(tmp_path / "in", ["a", "b\nc"])
    run(tmp_path)
    for path in (tmp_path / "in").rglob("*.jsonl"):
        assert (tmp_path / "out" / "deduplicated" / path.relative_to(tmp_path / "in")).read_bytes() == path.read_bytes()


def test_folders_of_others_are_left_alone(tmp_path):
    written(tmp_path / "in", ["a", "a"])
    (tmp_path / "out" / "line_cuts").mkdir(parents=True)
    (tmp_path / "out" / "line_cuts" / "mine").write_text("precious")
    with pytest.raises(InputError, match="holds other files such as"):
        run(tmp_path)
    assert (tmp_path / "out" / "line_cuts" / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unit": "sentence"}, "unknown unit"),
        ({"keep": "last"}, "unknown keep"),
        ({"normalize": "spaces"}, "normalize names"),
        ({"max_occurrences": 0}, "wanted at least 1"),
        ({"max_removed_fraction": 40}, "between 0 and 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LineDeduplicationWorkflow("out", "in", **settings)
