"""What a run records for people to see, and that it is the same however it ran."""

import base64
import io
import json
import re

import numpy as np
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, RunFailedError
from nemo_curator.ledger import counts
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.ledger.run import Run
from nemo_curator.ledger.samples import EXCERPT, MOST, THUMBNAIL
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowRunResult
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow
from nemo_curator.stages.text.filters import DocumentFilter, Filter, Score, ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.image import ImageBatch, ImageObject

FILES, LINES = 6, 40


class Length(DocumentFilter):
    """Keep texts of an even number of characters, but find none in every tenth."""

    def score_document(self, text):
        return None if text.endswith("0") else len(text)

    def keep_document(self, score):
        return score is not None and score % 2 == 0


class Failing(DocumentFilter):
    """Keep everything, and fail on one text."""

    def score_document(self, text):
        if text.startswith("4 7 "):
            raise ValueError("no")
        return 1.0

    def keep_document(self, score):
        return True


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    for number in range(FILES):
        rows = [
            {"id": f"{number}-{line}", "text": f"{number} {line} " + "word " * (line % 9) + str(line)}
            for line in range(LINES)
        ]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def job(documents, out, *extra):
    stages = [
        JsonlReader(str(documents)),
        ScoreFilter([WordCountFilter(min_words=5), Length()]),
        Score(len, "chars"),
        Filter(lambda chars: chars < 30, "chars"),
        *extra,
        JsonlWriter(str(out)),
    ]
    return Pipeline("job", "what it is for", stages=stages)


def filters(record):
    return {
        (stage["stage"], by): (scores, stage["samples"][by])
        for stage in record["stages"]
        for by, scores in stage["scores"].items()
    }


@pytest.fixture(scope="module")
def recorded(documents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    pipeline = job(documents, folder / "out")
    pipeline.run(LocalExecutor(num_workers=0), report_path=folder / "record")
    return pipeline.last_run, folder / "record"


def test_every_row_that_a_filter_sees_is_in_its_scores(recorded):
    run, _ = recorded
    chain = next(stage for stage in run.stages if "word_count" in stage.dropped)
    seen = chain.rows_in
    assert set(chain.scores) == {"word_count", "Length"}
    for by, scores in chain.scores.items():
        report = scores.to_dict()
        assert report["kept"] + report["dropped"] + report["no_score"] == seen
        assert report["dropped"] + report["no_score_dropped"] == chain.dropped[by]
        seen -= chain.dropped[by]
    words, length = (chain.scores[by].to_dict() for by in ("word_count", "Length"))
    assert (words["dropped_max"], words["kept_min"]) == (4, 5)
    assert length["no_score"] == length["no_score_dropped"] > 0
    scored = next(stage for stage in run.stages if stage.stage == "score_fn").scores["score_fn"].to_dict()
    assert (scored["kept"], scored["dropped"]) == (chain.rows_out, 0)


def test_some_rows_of_each_filter_are_shown(recorded):
    _, folder = recorded
    rows = filters(json.loads((folder / "ledger.json").read_text()))
    for (_, by), (_, samples) in rows.items():
        for name, shown in samples.items():
            assert len(shown) == (0 if (by, name) == ("score_fn", "dropped") else MOST)
            for row in shown:
                assert row["text"].startswith(row["id"].replace("-", " "))
                assert row["source"].endswith(f"{row['id'][0]}.jsonl")
    samples = next(samples for (_, by), (_, samples) in rows.items() if by == "word_count")
    assert all(row["score"] == len(row["text"].split()) < 5 for row in samples["dropped"])
    assert len({row["source"] for side in samples.values() for row in side}) > 2
    assert len({json.dumps(samples["kept"]) for _, samples in rows.values()}) > 1


def test_a_record_is_read_as_it_was_written(recorded):
    run, folder = recorded
    read = Run.load(folder)
    assert read.to_dict() == json.loads((folder / "ledger.json").read_text())
    assert read.partition_table().equals(run.partition_table())
    assert read.table() == run.table()
    read.save(folder / "again")
    assert Run.load(folder / "again").to_dict() == read.to_dict()


def test_a_record_says_what_ran_where(recorded):
    _, folder = recorded
    record = json.loads((folder / "ledger.json").read_text())
    assert (record["format"], record["description"], record["command"]) == (1, "what it is for", None)
    assert (record["rows_in"], record["rows_out"]) == (FILES * LINES, record["stages"][-1]["rows_out"])
    assert record["packages"]["pyarrow"] == pa.__version__
    assert record["cpus"] >= 1
    assert record["memory_bytes"] > max(stage["peak_memory"] for stage in record["stages"][1:]) > 2**24
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["started"])


def test_workers_and_a_resume_change_nothing_of_it(recorded, documents, tmp_path):
    _, folder = recorded
    wanted = filters(json.loads((folder / "ledger.json").read_text()))
    flaky = job(documents, tmp_path / "out", Interrupting(tmp_path / "mark"))
    with pytest.raises(KeyboardInterrupt):
        flaky.run(LocalExecutor(num_workers=0), checkpoint_path=tmp_path / "state")
    assert Run.load(tmp_path / "state").error.startswith("KeyboardInterrupt")
    (tmp_path / "mark").touch()
    flaky.run(LocalExecutor(num_workers=2), checkpoint_path=tmp_path / "state")
    assert filters(json.loads((tmp_path / "state" / "ledger.json").read_text())) == wanted


class Interrupting(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Pass batches on, but end the run at the fourth file unless a mark is there."""

    name = "interrupting"

    def __init__(self, mark):
        self.mark = mark

    def process(self, batch):
        if not self.mark.exists() and "3.jsonl" in str(batch._metadata["source_files"]):
            raise KeyboardInterrupt
        return batch


def test_a_failed_run_leaves_its_record(documents, tmp_path):
    stages = [JsonlReader(str(documents)), ScoreFilter(Failing()), JsonlWriter(str(tmp_path / "out"))]
    pipeline = Pipeline("job", stages=stages)
    with pytest.raises(RunFailedError):
        pipeline.run(LocalExecutor(num_workers=0), report_path=tmp_path / "record")
    read = Run.load(tmp_path / "record")
    assert read.error.startswith("RunFailedError: 1 rows failed")
    assert read.rows_failed == 1 == sum(len(stage.failures) for stage in read.stages)
    assert read.to_dict() == pipeline.last_run.to_dict()


def test_a_workflow_records_its_steps_and_its_clusters(documents, tmp_path):
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), str(documents), "jsonl", perform_removal=True)
    result = workflow.run(executor=LocalExecutor(num_workers=0), report_path=tmp_path / "record")
    read = WorkflowRunResult.load(tmp_path / "record")
    assert read.to_dict() == json.loads((tmp_path / "record" / "workflow.json").read_text())
    assert read.metadata["clusters"] == result.metadata["clusters"]
    assert (read.error, list(read.runs)) == (None, list(result.runs))
    for number, (name, run) in enumerate(read.runs.items(), 1):
        assert Run.load(tmp_path / "record" / "runs" / f"{number:02}-{name}").to_dict() == run.to_dict()


def test_a_workflow_that_fails_leaves_the_records_of_its_steps(documents, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "a"}\n{broken\n')
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), "jsonl")
    with pytest.raises(RunFailedError):
        workflow.run(executor=LocalExecutor(num_workers=0), report_path=tmp_path / "record")
    read = WorkflowRunResult.load(tmp_path / "record")
    assert read.error.startswith("RunFailedError: 1 rows failed")
    assert [run.error is None for run in read.runs.values()] == [True, True, False]
    assert Run.load(tmp_path / "record" / "runs" / "03-identification").rows_failed == 1
    assert list(workflow.last_result.runs) == list(read.runs)


def test_a_folder_without_a_record_is_an_error_that_says_so(tmp_path):
    with pytest.raises(InputError, match=r"holds no ledger.json; give the folder of a run"):
        Run.load(tmp_path)
    (tmp_path / "ledger.json").write_text("{")
    with pytest.raises(InputError, match=r"ledger.json is damaged"):
        Run.load(tmp_path)
    (tmp_path / "ledger.json").write_text('{"pipeline": "p"}')
    with pytest.raises(InputError, match="has format None; wanted 1"):
        Run.load(tmp_path)


def reported(batch, keep, scores=None):
    count = StageCount("s")
    with counting(count):
        counts.filtered("f", batch, keep, scores)
    return count


def test_an_image_is_shown_small():
    image_module = pytest.importorskip("PIL.Image")
    pixels = np.zeros((300, 600, 3), np.uint8)
    pixels[:, :300] = 255
    sink = io.BytesIO()
    image_module.fromarray(pixels).save(sink, "PNG")
    images = [
        ImageObject(image_id="read", image_path="a.tar", image_bytes=sink.getvalue(), caption="half white"),
        ImageObject(image_id="made", image_data=pixels),
        ImageObject(image_id="broken", image_bytes=b"no image"),
        ImageObject(image_id="nothing"),
    ]
    count = reported(ImageBatch("d", images, task_id="0"), np.array([True, False, False, False]), [1.0, 2.0, 3.0, 4.0])
    samples = count.samples["f"].to_dict()
    shown = {row["id"]: row for side in samples.values() for row in side}
    assert [row["id"] for row in samples["kept"]] == ["read"]
    assert (shown["read"]["text"], shown["read"]["score"], shown["read"]["source"]) == ("half white", 1.0, "a.tar")
    assert ["image" in shown[name] for name in ("read", "made", "broken", "nothing")] == [True, True, False, False]
    for name in ("read", "made"):
        small = image_module.open(io.BytesIO(base64.b64decode(shown[name]["image"].partition(",")[2])))
        assert small.size == (THUMBNAIL, THUMBNAIL // 2)
        assert small.getpixel((10, 40))[0] > 240 > 15 > small.getpixel((150, 40))[0]
    assert vars(images[0])["_pixels"] is None


@pytest.mark.parametrize("text", ["x" * 10_000, "ä€😀" * 1000])
@pytest.mark.parametrize("as_frame", [False, True])
def test_of_a_long_text_the_beginning_is_shown(text, as_frame):
    table = pa.table({"title": ["t"], "text": [text]})
    batch = DocumentBatch("d", table.to_pandas() if as_frame else table, task_id="0")
    assert reported(batch, None, [float("nan")]).samples["f"].to_dict() == {
        "kept": [{"text": text[:EXCERPT], "score": None, "id": None, "source": None}],
        "dropped": [],
    }


def test_rows_that_cannot_get_in_are_not_looked_at():
    looked_at = []

    def rows(places):
        looked_at.extend(places.tolist())
        return DocumentBatch(data=pa.table({"text": [str(place) for place in places]}))

    count = StageCount("s")
    with counting(count):
        for part in range(20):
            counts.removed("f", f"file {part}", np.ones(1000, bool), rows)
    assert count.dropped["f"] == 20_000
    assert len(looked_at) < 60
    later = StageCount("s", limits={"f": count.samples["f"].limits()})
    looked_at.clear()
    with counting(later):
        counts.removed("f", "file 20", np.ones(10, bool), rows)
    assert looked_at == []


def test_outside_a_run_nobody_counts():
    counts.filtered("f", DocumentBatch("d", pa.table({"text": ["a"]})), np.zeros(1, bool))


class Wordless:
    def __str__(self):
        raise ValueError("no words for it")


NO_UTF8 = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"\xff\xfe"))


@pytest.mark.parametrize(
    ("columns", "scores"),
    [
        ({"id": pa.array([10**9, 1], pa.date32())}, [1, 2]),
        ({"url": NO_UTF8}, [1, 2]),
        ({}, [Wordless(), Wordless()]),
        ({}, [np.array([1.0, 2.0]), np.array([3.0, 4.0])]),
        ({}, np.array([[1.0, 2.0], [3.0, 4.0]])),
        ({}, [10**400, 10**5000]),
    ],
)
def test_what_cannot_be_shown_of_a_row_does_not_cost_it(columns, scores):
    batch = DocumentBatch(data=pa.table({"text": ["a", "b"], **columns}), task_id="0", dataset_name="d")
    count = StageCount("stage")
    with counting(count):
        counts.filtered("by", batch, np.array([True, False]), scores)
    samples, spread = count.samples["by"].to_dict(), count.scores["by"].to_dict()
    assert (len(samples["kept"]), len(samples["dropped"]), count.rows_dropped) == (1, 1, 1)
    assert spread["kept"] + spread["dropped"] + spread["no_score"] == 2
    json.loads(json.dumps([samples, spread], allow_nan=False))


def test_a_page_that_cannot_be_written_fails_no_run(documents, tmp_path, caplog):
    (tmp_path / "record" / "report.html" / "in the way").mkdir(parents=True)
    pipeline = job(documents, tmp_path / "out")
    pipeline.run(LocalExecutor(num_workers=0), report_path=tmp_path / "record")
    assert Run.load(tmp_path / "record").to_dict() == pipeline.last_run.to_dict()
    assert f"the page in {tmp_path / 'record'} could not be written: IsADirectoryError" in caplog.text


def test_a_record_that_cannot_be_written_hides_no_error_of_the_run(documents, tmp_path, caplog):
    (tmp_path / "record" / "ledger.json" / "in the way").mkdir(parents=True)
    stages = [JsonlReader(str(documents)), ScoreFilter(Failing())]
    with pytest.raises(RunFailedError):
        Pipeline("job", stages=stages).run(LocalExecutor(num_workers=0), report_path=tmp_path / "record")
    assert "the account of the run could not be written" in caplog.text


def test_where_no_record_can_be_made_no_run_begins(documents, tmp_path):
    (tmp_path / "file").touch()
    pipeline = job(documents, tmp_path / "out")
    with pytest.raises(FileExistsError):
        pipeline.run(LocalExecutor(num_workers=0), report_path=tmp_path / "file")
    assert (pipeline.last_run, (tmp_path / "out").exists()) == (None, False)


class Signing(ProcessingStage):
    name = "signing"

    def before_run(self, state):
        raise OSError("no answer from https://me:a-secret@host/a?X-Goog-Signature=a-secret")

    def process(self, batch):
        return batch


def test_the_error_of_a_run_is_recorded_without_its_secrets(tmp_path):
    batch = DocumentBatch("d", pa.table({"text": ["a", "b"]}))
    pipeline = Pipeline("job", stages=[Signing()])
    with pytest.raises(OSError, match="no answer"):
        pipeline.run(LocalExecutor(num_workers=0), [batch], report_path=tmp_path / "record")
    assert pipeline.last_run.error == "OSError: no answer from https://host/a?X-Goog-Signature=…"
    assert not [path for path in (tmp_path / "record").iterdir() if b"a-secret" in path.read_bytes()]
