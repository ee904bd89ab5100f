import json
import time

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.errors import ContractError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import WordCountFilter
from nemo_curator.stages.text.filters.score_filter import ScoreFilter
from nemo_curator.stages.text.modules import DocumentJoiner, DocumentSplitter
from nemo_curator.tasks import DocumentBatch


def batch(**columns):
    return DocumentBatch.from_arrow(pa.table(columns))


def rows(stage, **columns):
    return stage.process(batch(**columns)).to_pyarrow().to_pylist()


def segments(stage, text):
    return [(row["text"], row["segment_id"]) for row in rows(stage, text=pa.array([text], pa.string()))]


@pytest.mark.parametrize(
    ("separator", "text", "made"),
    [
        ("\n\n", "a\n\nb\n\n", ["a", "b", ""]),
        ("***", "a***b", ["a", "b"]),
        ("||", "a||b|c", ["a", "b|c"]),
        (".\n", "ab\ncd.\nef", ["ab\ncd", "ef"]),
        ("\n", "", [""]),
        ("\n", None, [None]),
    ],
)
def test_a_document_is_cut_at_the_separator_as_it_is_written(separator, text, made):
    assert segments(DocumentSplitter(separator), text) == list(zip(made, range(len(made))))


def test_each_segment_has_the_other_columns_of_its_document_and_the_columns_keep_their_order():
    stage = DocumentSplitter("-", segment_id_field="n")
    made = stage.process(batch(id=["x", "y"], text=["a-b", "c"], more=[{"k": 1}, None]))
    assert made.to_pyarrow().to_pylist() == [
        {"id": "x", "text": "a", "more": {"k": 1}, "n": 0},
        {"id": "x", "text": "b", "more": {"k": 1}, "n": 1},
        {"id": "y", "text": "c", "more": None, "n": 0},
    ]


def test_segments_of_mixed_values_and_absent_keys_are_repeated_as_they_are():
    before = DocumentBatch.from_arrow(
        pa.table({"text": ["a-b", "c"], "k": pa.array([None, 1])}), absent=pa.table({"k": [True, False]})
    ).with_column("mixed", [{"a": 1}, 2])
    made = DocumentSplitter("-").process(before)
    assert made.values("mixed") == [{"a": 1}, {"a": 1}, 2]
    assert made.absent("k").tolist() == [True, True, False]


def test_an_empty_separator_is_refused():
    with pytest.raises(ValueError, match="the separator is empty"):
        DocumentSplitter("")


def test_segments_are_joined_in_the_order_of_their_ids_and_documents_come_as_they_appear():
    made = rows(DocumentJoiner(), id=[2, 1, 1], segment_id=[0, 1, 0], text=["z", "b", "a"], src=["q", "r", "s"])
    assert made == [{"id": 2, "text": "z", "src": "q"}, {"id": 1, "text": "a\n\nb", "src": "s"}]


def test_other_columns_are_those_of_the_first_segment_also_where_it_has_none():
    made = rows(DocumentJoiner("-"), id=[1, 1], segment_id=[0, 1], text=["a", "b"], src=[None, "other row"])
    assert made == [{"id": 1, "text": "a-b", "src": None}]


def test_rows_without_an_id_stay_documents_of_their_own():
    made = rows(DocumentJoiner("-"), id=[None, "x", None, "x"], segment_id=[0, 0, 0, 1], text=["a", "b", "c", "d"])
    assert [(row["id"], row["text"]) for row in made] == [(None, "a"), ("x", "b-d"), (None, "c")]
    assert len(rows(DocumentJoiner("-"), id=pa.nulls(2), segment_id=[0, 1], text=["a", "b"])) == 2


def test_a_null_text_adds_nothing_and_a_null_segment_id_comes_last():
    texts = ["b", None, "c", None, None]
    made = rows(DocumentJoiner("-"), id=[1, 1, 1, 2, 2], segment_id=[None, 1, 0, 0, 1], text=texts)
    assert [row["text"] for row in made] == ["c-b", None]


def test_segments_with_one_id_keep_their_order():
    count = 200
    made = rows(DocumentJoiner(""), id=[1] * count, segment_id=[0] * count, text=[chr(65 + n) for n in range(count)])
    assert made[0]["text"] == "".join(chr(65 + n) for n in range(count))


PACKED = {"max_length": 7, "length_field": "n", "separator": " ", "drop_segment_id_field": False}


def test_as_many_segments_are_joined_as_fit():
    made = rows(
        DocumentJoiner(**PACKED),
        id=[1, 1, 1, 1],
        segment_id=[0, 1, 2, 3],
        text=["aaa", "bbb", "cc", "dddddd"],
        n=[3, 3, 2, 6],
    )
    assert [(row["text"], row["n"], row["segment_id"]) for row in made] == [
        ("aaa bbb", 7, 0),
        ("cc", 2, 1),
        ("dddddd", 6, 2),
    ]


def test_a_pack_ends_with_its_document_and_a_long_segment_stands_alone():
    made = rows(
        DocumentJoiner(**PACKED),
        id=["y", "x", "x", "x", "y"],
        segment_id=[0, 0, 1, 2, 1],
        text=["a", "b", "c" * 9, None, None],
        n=[1, 1, 9, None, 4],
    )
    assert [(row["id"], row["text"], row["n"], row["segment_id"]) for row in made] == [
        ("y", "a", 1, 0),
        ("x", "b", 1, 0),
        ("x", "c" * 9, 9, 1),
    ]


def test_packing_needs_lengths():
    with pytest.raises(ValueError, match="max_length needs length_field"):
        DocumentJoiner(max_length=3)
    with pytest.raises(ContractError, match="'n' holds nulls beside texts"):
        rows(DocumentJoiner(**PACKED), id=[1], segment_id=[0], text=["a"], n=pa.array([None], pa.int64()))


@given(
    texts=st.lists(st.lists(st.text("ab -\n", max_size=6), min_size=1, max_size=6), min_size=1, max_size=4),
    limit=st.integers(1, 12),
)
@settings(deadline=None)
def test_packs_are_as_long_as_they_can_be_and_no_longer(texts, limit):
    pieces = [(number, at, text) for number, some in enumerate(texts) for at, text in enumerate(some)]
    columns = dict(zip(("id", "segment_id", "text"), map(list, zip(*pieces))))
    stage = DocumentJoiner("+", max_length=limit, length_field="n", drop_segment_id_field=False)
    made = rows(stage, **columns, n=[len(text) for text in columns["text"]])
    expected = []
    for number, some in enumerate(texts):
        packs = [some[0]]
        for text in some[1:]:
            if len(packs[-1]) + 1 + len(text) <= limit:
                packs[-1] += "+" + text
            else:
                packs.append(text)
        expected += [(number, at, pack, len(pack)) for at, pack in enumerate(packs)]
    assert [(row["id"], row["segment_id"], row["text"], row["n"]) for row in made] == expected


@given(
    texts=st.lists(st.none() | st.text(st.sampled_from("ab-|é\n") | st.characters(codec="utf-8")), max_size=5),
    separator=st.text(st.sampled_from("ab-|é\n"), min_size=1, max_size=3),
    chunks=st.booleans(),
    kind=st.sampled_from([pa.string(), pa.large_string()]),
)
@settings(deadline=None, max_examples=300)
def test_joining_undoes_splitting(texts, separator, chunks, kind):
    table = pa.table(
        {"id": [f"d{n}" for n in range(len(texts))], "text": pa.array(texts, kind), "n": range(len(texts))}
    )
    before = pa.concat_tables([table.slice(0, 1), table.slice(1)]) if chunks else table
    split = DocumentSplitter(separator).process(DocumentBatch.from_arrow(before))
    assert split.to_pyarrow().column("text").to_pylist() == [
        piece for text in texts for piece in ([None] if text is None else text.split(separator))
    ]
    assert DocumentJoiner(separator).process(split).to_pyarrow().equals(table)


def test_joining_undoes_splitting_of_a_frame():
    frame = pd.DataFrame({"id": ["x", "y"], "text": ["a b", "c"]}, index=[5, 7])
    split = DocumentSplitter(" ").process(DocumentBatch(data=frame))
    assert split.data.to_dict("records")[1] == {"id": "x", "text": "b", "segment_id": 1}
    assert list(split.data.index) == [0, 1, 2]
    assert DocumentJoiner(" ").process(split).data.to_dict("records") == frame.to_dict("records")


def test_a_run_knows_which_rows_were_added_dropped_and_joined(tmp_path):
    stages = [DocumentSplitter("\n"), ScoreFilter(WordCountFilter(min_words=2)), DocumentJoiner("\n")]
    pipeline = Pipeline("lines", stages=stages)
    task = DocumentBatch(data=pa.table({"id": [1, 2], "text": ["a b\nc\nd e", "f g"]}))
    made = pipeline.run(initial_tasks=[task], checkpoint_path=tmp_path / "checkpoint")
    assert made[0].to_pyarrow().to_pylist() == [{"id": 1, "text": "a b\nd e"}, {"id": 2, "text": "f g"}]
    split, kept, joined = pipeline.last_run.stages
    assert (split.rows_in, split.rows_added, split.rows_out) == (2, 2, 4)
    assert (kept.rows_in, kept.rows_dropped, kept.rows_out) == (4, 1, 3)
    assert (joined.rows_in, joined.rows_joined, joined.rows_dropped, joined.rows_out) == (3, 1, 0, 2)
    assert "0 (1 joined)" in pipeline.last_run.table()
    assert pipeline.last_run.dropped() == {"word_count": 1}
    before = pipeline.last_run.table()
    pipeline.run(initial_tasks=[task], checkpoint_path=tmp_path / "checkpoint")
    assert pipeline.last_run.table() == before


def test_rows_that_were_joined_are_not_among_the_rejected(tmp_path):
    stages = [DocumentSplitter("\n"), ScoreFilter(WordCountFilter(min_words=2)), DocumentJoiner("\n")]
    task = DocumentBatch(data=pa.table({"id": [1], "text": ["a b\nc\nd e"]}))
    Pipeline("lines", stages=stages).run(initial_tasks=[task], rejected_path=tmp_path)
    rejected = [json.loads(line) for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [(each["filter"], each["row"]["text"]) for each in rejected] == [("word_count", "c")]


def test_a_long_document_of_many_segments_takes_no_more_than_linear_time():
    text = "line of text\n" * 200_000
    start = time.process_time()
    split = DocumentSplitter("\n").process(batch(id=[1], text=[text], n=[0]))
    lengths = split.with_column("n", split.text("text").lengths)
    packed = DocumentJoiner("\n", max_length=1000, length_field="n", drop_segment_id_field=False).process(lengths)
    assert DocumentJoiner("\n").process(packed).column("text").to_pylist() == [text]
    assert time.process_time() - start < 5
