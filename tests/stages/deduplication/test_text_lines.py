import json
import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.deduplication.text_lines import TextLineReader
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.tasks import FileGroupTask

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.text('\\n"\\/tub0é\t\n\r', max_size=12)
PLAIN = st.lists(
    st.builds(lambda text: json.dumps({"id": 1, "text": text, "more": {"text": "x"}}, ensure_ascii=False), TEXTS)
    | st.builds(lambda text: json.dumps({"text": text}), TEXTS),
    max_size=8,
)
NUMBER = '{"text": 7}'
ODD = st.sampled_from(['{"other": 1}', "", "  ", '{"text": null}', NUMBER, ' {"text" : "sp\\u00e4t"} '])
LINES = PLAIN | st.lists(PLAIN.map("\n".join) | ODD, max_size=8)


class EveryOther(TextLineReader):
    """Reads the records with odd numbers."""

    def choose(self, task):
        ((first, stop),) = task._metadata[ROW_NUMBERS]
        return np.array([row for row in range(first, stop) if row % 2], np.int64)


def task_of(folder, lines):
    path = folder / "a.jsonl"
    path.write_text("\n".join(lines))
    records = sum(bool(line.strip()) for line in path.read_text().split("\n"))
    return FileGroupTask(data=[str(path)], _metadata={ROW_NUMBERS: [[5, 5 + records]]})


def rows_of(reader, task):
    return [row for batch in reader.process(task) for row in batch.to_pyarrow().to_pylist()]


@settings(deadline=None, max_examples=60)
@given(LINES)
def test_both_ways_read_the_same_texts_and_ids(tmp_path_factory, lines):
    task = task_of(tmp_path_factory.mktemp("lines"), lines)
    fast = pickle.loads(pickle.dumps(TextLineReader(["text"], _row_numbers=True)))
    assert rows_of(fast, task) == rows_of(JsonlReaderStage(["text"], _row_numbers=True), task)


@settings(deadline=None, max_examples=60)
@given(LINES, st.sampled_from([["text"], ["text", "id"]]))
def test_only_the_records_that_are_wanted_are_read(tmp_path_factory, lines, fields):
    lines = [line for line in lines if line != NUMBER]  # with a number among them, texts are read as their JSON
    task = task_of(tmp_path_factory.mktemp("lines"), lines)
    rows = rows_of(JsonlReaderStage(fields, _row_numbers=True), task)
    wanted = [row for row in rows if row["_curator_dedup_id"] % 2]
    found = rows_of(EveryOther(fields, _row_numbers=True), task)
    assert [{**dict.fromkeys(fields), **row} for row in found] == wanted
