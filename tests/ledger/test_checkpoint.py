import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CheckpointError, RunFailedError
from nemo_curator.ledger.fingerprint import stable_text
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import DocumentModifier, Modify
from nemo_curator.tasks import DocumentBatch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def documents(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        lines = [json.dumps({"text": f"file {number} line {line} " + "word " * line}) for line in range(20)]
        (folder / f"{number}.jsonl").write_text("\n".join(lines))
    return folder


class Noted(DocumentFilter):
    """Keep everything, and leave a note of every text."""

    def __init__(self, notes):
        super().__init__()
        self.notes = str(notes)

    def score_document(self, text):
        with Path(self.notes).open("a") as file:
            file.write(f"{text}\n")
        return 1

    def keep_document(self, score):
        return True


def job(documents, tmp_path, *, words=5, mode="ignore", extra=()):
    return Pipeline(
        "job",
        stages=[
            JsonlReader(str(documents)),
            ScoreFilter(Noted(tmp_path / "notes")),
            ScoreFilter(WordCountFilter(min_words=words)),
            *extra,
            JsonlWriter(str(tmp_path / "out"), mode=mode),
        ],
    )


def run(pipeline, tmp_path, workers=0, **options):
    return pipeline.run(LocalExecutor(num_workers=workers), checkpoint_path=tmp_path / "checkpoint", **options)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def notes(tmp_path):
    path = tmp_path / "notes"
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def test_a_run_that_is_done_does_nothing_and_says_the_same(documents, tmp_path):
    first, second = job(documents, tmp_path), job(documents, tmp_path)
    before = [task.data for task in run(first, tmp_path)]
    assert len(notes(tmp_path)) == 120
    assert [task.data for task in run(second, tmp_path, workers=2)] == before
    assert notes(tmp_path) == []
    assert second.last_run.dropped() == first.last_run.dropped()
    assert [stage.rows_out for stage in second.last_run.stages] == [stage.rows_out for stage in first.last_run.stages]


def test_an_output_that_was_deleted_is_made_again(documents, tmp_path):
    made = run(job(documents, tmp_path), tmp_path)
    before = files(tmp_path / "out")
    Path(made[2].data[0]).unlink()
    notes(tmp_path)
    run(job(documents, tmp_path), tmp_path)
    assert len(notes(tmp_path)) == 20
    assert files(tmp_path / "out") == before


def test_a_changed_pipeline_is_refused_with_what_has_changed(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    with pytest.raises(
        CheckpointError, match=r"word_count: filter_obj was .*min_words': 5.* and is .*min_words': 6"
    ) as error:
        run(job(documents, tmp_path, words=6), tmp_path)
    assert "on_change='redo'" in str(error.value)
    with pytest.raises(CheckpointError, match="its stages were"):
        run(job(documents, tmp_path, extra=[Modify(str.upper)]), tmp_path)
    notes(tmp_path)
    run(job(documents, tmp_path, words=6), tmp_path, on_change="redo")
    assert len(notes(tmp_path)) == 120


def test_settings_that_do_not_change_the_rows_may_differ(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    pipeline = job(documents, tmp_path)
    pipeline.stages[1] = pipeline.stages[1].with_(num_workers=1, runtime_env={"env_vars": {"A": "1"}})
    notes(tmp_path)
    run(pipeline, tmp_path, workers=1)
    assert notes(tmp_path) == []


def test_a_changed_input_is_refused_or_done_again(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    (documents / "3.jsonl").write_text(json.dumps({"text": "this is another text altogether"}))
    with pytest.raises(CheckpointError, match=r"1 partitions have changed and 0 are gone\): .*3\.jsonl"):
        run(job(documents, tmp_path), tmp_path)
    notes(tmp_path)
    pipeline = job(documents, tmp_path)
    run(pipeline, tmp_path, on_change="redo")
    assert notes(tmp_path) == ["this is another text altogether"]
    assert pipeline.last_run.stages[1].rows_out == 101


def test_what_was_made_of_an_input_that_is_gone_goes_too(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    (documents / "5.jsonl").unlink()
    with pytest.raises(CheckpointError, match="0 partitions have changed and 1 are gone"):
        run(job(documents, tmp_path), tmp_path)
    run(job(documents, tmp_path), tmp_path, on_change="redo")
    assert len(files(tmp_path / "out")) == 5
    assert len(list(documents.iterdir())) == 5


def test_a_new_input_is_added(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    (documents / "9.jsonl").write_text(json.dumps({"text": "one more file with some words"}))
    notes(tmp_path)
    run(job(documents, tmp_path), tmp_path)
    assert notes(tmp_path) == ["one more file with some words"]


def test_a_record_that_was_cut_off_costs_its_partition(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    record = next((tmp_path / "checkpoint").glob("done-*"))
    record.write_bytes(record.read_bytes()[:-30])
    notes(tmp_path)
    run(job(documents, tmp_path), tmp_path)
    assert len(notes(tmp_path)) == 20


def test_partitions_that_failed_are_tried_again_when_the_run_had_ended(documents, tmp_path):
    bad = documents / "2.jsonl"
    whole = bad.read_text()
    times = bad.stat()
    bad.write_text(whole.replace('{"text": "file 2 line 3', '["text": "file 2 line 3'))
    os.utime(bad, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(RunFailedError):
        run(job(documents, tmp_path), tmp_path)
    bad.write_text(whole)
    os.utime(bad, ns=(times.st_atime_ns, times.st_mtime_ns))
    notes(tmp_path)
    run(job(documents, tmp_path), tmp_path)
    assert len(notes(tmp_path)) == 20


@pytest.mark.parametrize("mode", ["overwrite", "append", "error"])
def test_an_attempt_goes_on_in_the_folder_and_under_the_names_of_the_first(documents, tmp_path, mode):
    out = tmp_path / "out"
    if mode != "error":
        run(job(documents, tmp_path), tmp_path.parent / f"{tmp_path.name}-other")
    made = run(job(documents, tmp_path, mode=mode), tmp_path)
    before = files(out)
    Path(made[0].data[0]).unlink()
    run(job(documents, tmp_path, mode=mode), tmp_path)
    assert files(out) == before


def test_documents_that_a_pipeline_returns_are_kept(documents, tmp_path):
    stages = [JsonlReader(str(documents), fields=["text"]), ScoreFilter(Noted(tmp_path / "notes"))]
    first = [task.data for task in run(Pipeline("p", stages=stages), tmp_path)]
    notes(tmp_path)
    again = [task.data for task in run(Pipeline("p", stages=stages), tmp_path)]
    assert notes(tmp_path) == []
    assert all(one.equals(other) for one, other in zip(first, again, strict=True))


def test_a_checkpoint_may_lie_behind_a_url(documents, tmp_path):
    path = f"memory://{tmp_path.name}/checkpoint"
    for expected in (120, 0):
        job(documents, tmp_path).run(LocalExecutor(num_workers=0), checkpoint_path=path)
        assert len(notes(tmp_path)) == expected


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import DocumentModifier, Modify
from nemo_curator.tasks import DocumentBatch

def slow(text):
    time.sleep(0.002)
    return text.upper()

folder = Path(sys.argv[1])
pipeline = Pipeline("job", stages=[
    JsonlReader(str(folder / "in")), Modify(slow), ScoreFilter(WordCountFilter(min_words=8)),
    JsonlWriter(str(folder / "out")),
])
pipeline.run(LocalExecutor(num_workers=int(sys.argv[2])), checkpoint_path=folder / "checkpoint")
print("ended")
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(documents, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(root=str(ROOT)))
    other = tmp_path / "undisturbed"
    other.mkdir()
    (other / "in").symlink_to(documents)
    subprocess.run([sys.executable, script, other, "1"], check=True, capture_output=True)
    kills = 0
    for attempt in range(40):
        process = subprocess.Popen([sys.executable, script, tmp_path, str(1 + attempt % 2)], stdout=subprocess.PIPE)
        try:
            out, _ = process.communicate(timeout=1.3**attempt)
            if b"ended" in out:
                break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.1)
    assert kills >= 1
    hidden = [name for name in files(tmp_path / "out") if name.startswith(".")]
    assert {name: data for name, data in files(tmp_path / "out").items() if name not in hidden} == files(other / "out")


def test_settings_have_the_same_text_in_every_process():
    value = {"f": WordCountFilter(min_words=3), "g": lambda text: text + "a", "s": {"b", "a"}, "n": [1, 2.5, None]}
    assert "min_words': 3" in stable_text(value)
    assert stable_text(lambda text: text + "a") != stable_text(lambda text: text + "b")
    assert "0x" not in stable_text(value)


class Total(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Count all documents there are."""

    name = "total"
    is_barrier = True

    def process(self, task):
        return self.process_batch([task])[0]

    def process_batch(self, tasks):
        total = sum(task.num_items for task in tasks)
        return [task.with_column("total", [total] * task.num_items) for task in tasks]


class Flaky(DocumentModifier):
    """Fail on one text while a file is there."""

    def __init__(self, trouble):
        super().__init__()
        self.trouble = str(trouble)

    def modify_document(self, text):
        if text.startswith("file 3 line 7 ") and Path(self.trouble).exists():
            raise OSError("trouble")
        return text


def totals(tmp_path):
    rows = [json.loads(line) for path in (tmp_path / "out").iterdir() for line in path.open()]
    return len(rows), {row["total"] for row in rows}


def test_what_comes_after_a_barrier_is_done_again_when_something_before_it_has_changed(documents, tmp_path):
    trouble = tmp_path / "trouble"
    trouble.touch()

    def total_job():
        stages = [JsonlReader(str(documents)), Modify(Flaky(trouble)), Total(), JsonlWriter(str(tmp_path / "out"))]
        return Pipeline("total", stages=stages)

    with pytest.raises(RunFailedError):
        run(total_job(), tmp_path)
    assert totals(tmp_path) == (119, {119})
    trouble.unlink()
    run(total_job(), tmp_path)
    assert totals(tmp_path) == (120, {120})
    (documents / "0.jsonl").write_text('{"text": "only this"}')
    run(total_job(), tmp_path, on_change="redo")
    assert totals(tmp_path) == (101, {101})


class Together(ProcessingStage[DocumentBatch, DocumentBatch]):
    """See some batches at once."""

    name = "together"

    def process(self, task):
        return task

    def process_batch(self, tasks):
        return [task.with_column("beside", [len(tasks)] * task.num_items) for task in tasks]


def test_another_number_of_batches_at_once_is_a_change_of_the_pipeline(documents, tmp_path):
    def together_job(size):
        stages = [JsonlReader(str(documents)), Together().with_(batch_size=size), JsonlWriter(str(tmp_path / "out"))]
        return Pipeline("together", stages=stages)

    run(together_job(2), tmp_path)
    with pytest.raises(CheckpointError, match="together: batch_size was 2 and is 3"):
        run(together_job(3), tmp_path)


def test_documents_that_lack_keys_are_kept_as_they_are(documents, tmp_path):
    (documents / "0.jsonl").write_text('{"text": "a"}\n{"text": "b", "extra": null}\n')
    for _ in range(2):
        run(
            Pipeline("read", stages=[JsonlReader(str(documents)), Total(), JsonlWriter(str(tmp_path / "out"))]),
            tmp_path,
        )
    lines = [line for path in (tmp_path / "out").iterdir() for line in path.read_text().splitlines()]
    assert [line for line in lines if '"a"' in line or '"b"' in line] == [
        '{"text":"a","total":102}',
        '{"text":"b","extra":null,"total":102}',
    ]


def test_documents_that_were_given_and_have_changed_are_refused(tmp_path):
    def pipeline():
        return Pipeline("given", stages=[JsonlWriter(str(tmp_path / "out"))])

    def batch(text):
        return [DocumentBatch("d", pa.table({"text": [text]}), task_id="k")]

    for _ in range(2):
        run(pipeline(), tmp_path, initial_tasks=batch("old"))
    with pytest.raises(CheckpointError, match="1 partitions have changed"):
        run(pipeline(), tmp_path, initial_tasks=batch("new"))


def test_an_output_that_is_shorter_than_it_was_is_made_again(documents, tmp_path):
    made = run(job(documents, tmp_path), tmp_path)
    before = files(tmp_path / "out")
    Path(made[2].data[0]).write_bytes(b"")
    run(job(documents, tmp_path), tmp_path)
    assert files(tmp_path / "out") == before


def test_stored_documents_that_are_damaged_are_made_again(documents, tmp_path):
    def total_job():
        return Pipeline("t", stages=[JsonlReader(str(documents)), Total(), JsonlWriter(str(tmp_path / "out"))])

    run(total_job(), tmp_path)
    before = files(tmp_path / "out")
    stored = sorted((tmp_path / "checkpoint" / "tasks").glob("0-*.arrow"))
    stored[0].write_bytes(b"")
    stored[1].unlink()
    run(total_job(), tmp_path)
    assert files(tmp_path / "out") == before


def test_a_damaged_checkpoint_is_named(documents, tmp_path):
    run(job(documents, tmp_path), tmp_path)
    (tmp_path / "checkpoint" / "run.json").write_text("")
    with pytest.raises(CheckpointError, match=r"run\.json is damaged"):
        run(job(documents, tmp_path), tmp_path)


def test_what_is_done_again_in_another_way_leaves_no_old_files(documents, tmp_path):
    def grouped(number):
        reader = JsonlReader(str(documents), files_per_partition=number)
        return Pipeline("grouped", stages=[reader, Total(), JsonlWriter(str(tmp_path / "out"))])

    run(grouped(1), tmp_path)
    run(grouped(2), tmp_path, on_change="redo")
    assert totals(tmp_path) == (120, {120})
    (documents / "0.jsonl").unlink()
    run(grouped(2), tmp_path, on_change="redo")
    assert totals(tmp_path) == (100, {100})


def test_rows_that_come_through_in_the_end_are_no_longer_among_the_rejected(documents, tmp_path):
    for words in (30, 0):
        run(job(documents, tmp_path, words=words), tmp_path, on_change="redo", rejected_path=tmp_path / "rejected")
    assert list((tmp_path / "rejected").iterdir()) == []
