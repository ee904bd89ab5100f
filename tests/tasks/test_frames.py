import datetime
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch, FileGroupTask, ImageBatch, ImageObject
from nemo_curator.tasks.frames import from_frame, to_arrow, to_pandas, to_polars

polars = pytest.importorskip("polars")
TIME = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
TABLE = pa.table(
    {
        "text": pa.array(["a b", None, "語 " * 3, ""], pa.large_string()),
        "n": pa.array([2**53 + 1, None, -1, 0], pa.int64()),
        "yes": pa.array([True, None, False, True]),
        "share": pa.array([0.5, None, 1.0, 2.0]),
        "at": pa.array([TIME, None, TIME, TIME], pa.timestamp("us", "UTC")),
        "kind": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "tags": pa.array([["a"], [], None, ["b", None]]),
        "raw": pa.array([b"\xff", None, b"", b"a"], pa.binary()),
        "where": pa.array([{"x": 1, "y": None}, None, {"x": 2, "y": "b"}, {"x": None, "y": "c"}]),
    }
)


def python(table):
    return table.to_pylist()


@pytest.mark.parametrize("rows", [None, 1, 3, 100])
def test_a_table_comes_back_as_it_was(rows):
    batches = from_frame(TABLE, rows_per_batch=rows)
    assert [batch.num_items for batch in batches] == {None: [4], 1: [1] * 4, 3: [3, 1], 100: [4]}[rows]
    assert to_arrow(batches).equals(TABLE)


def test_slices_of_a_table_are_no_copies():
    address = TABLE.column("n").chunk(0).buffers()[1].address
    for batch in from_frame(TABLE, rows_per_batch=2):
        assert batch.to_pyarrow().column("n").chunk(0).buffers()[1].address == address


def test_a_frame_of_polars_comes_back_as_it_was():
    frame = polars.DataFrame(TABLE)
    back = to_polars(from_frame(frame, rows_per_batch=3))
    assert back.equals(frame)
    assert back.schema == frame.schema
    assert polars.DataFrame(DocumentBatch(data=frame)).equals(frame)


def test_texts_of_polars_can_be_filtered_and_written():
    frame = polars.DataFrame({"text": ["one two", "one"], "tags": [["a"], ["b"]], "kind": ["x", "y"]})
    frame = frame.with_columns(polars.col("kind").cast(polars.Categorical))
    pipeline = Pipeline("polars", stages=[ScoreFilter(WordCountFilter(min_words=2), score_field="words")])
    made = pipeline.run(LocalExecutor(num_workers=0), initial_tasks=from_frame(frame))
    assert to_polars(made).to_dicts() == [{"text": "one two", "tags": ["a"], "kind": "x", "words": 2}]
    assert pipeline.last_run.dropped() == {"word_count": 1}


PANDAS = {
    "text": pd.Series(["a", None, "ccc"], dtype="str"),
    "whole": pd.Series([1, None, 2**53 + 1], dtype="Int64"),
    "small": np.array([1, 2, 3], dtype="uint8"),
    "share": [0.5, float("nan"), 1.0],
    "yes": pd.Series([True, None, False], dtype="boolean"),
    "at": pd.to_datetime(["2024-02-29", None, "2024-03-01"], utc=True),
    "kind": pd.Categorical(["x", "y", None], categories=["y", "x", "z"], ordered=True),
}


@pytest.mark.parametrize("rows", [None, 1, 2])
def test_a_frame_of_pandas_comes_back_with_its_types(rows):
    frame = pd.DataFrame(PANDAS)
    pd.testing.assert_frame_equal(to_pandas(from_frame(frame, rows_per_batch=rows)), frame)


def test_objects_in_pandas_keep_their_keys_and_types():
    values = {
        "object": [{"a": 1}, {"b": [1, {"c": None}]}, None],
        "objects": [[{"a": 1}], [{"b": 2}, {}], None],
        "mixed": [1, "one", None],
        "large": [2**70, 1, None],
        "list": [["a"], [], None],
    }
    back = to_pandas(from_frame(pd.DataFrame({name: pd.Series(each, dtype=object) for name, each in values.items()})))
    found = {name: [None if one is None else one for one in back[name]] for name in back}
    found["list"] = [None if one is None else list(one) for one in found["list"]]
    assert found == values


NESTED = {
    "answers": [{"text": ["a", "b"], "start": [1, 2]}, None],
    "image": [{"bytes": b"\xff", "path": "p"}, None],
    "when": [{"at": TIME}, None],
    "deep": [{"a": {"b": [{"c": 2**53 + 1}, {"c": None}]}}, None],
    "numbers": [[1, None, 2**53 + 1], []],
    "tables": [[[1], [None, 2**53 + 1]], None],
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("make", [pa.table, lambda columns: [{name: one} for name in columns for one in columns[name]]])
def test_nested_values_keep_what_they_hold_on_the_way_through_pandas(name, make):
    batch = DocumentBatch.from_arrow(DocumentBatch("x", make({name: NESTED[name]})).to_pyarrow())
    assert isinstance(batch.data, pd.DataFrame)
    assert batch.values(name) == NESTED[name]


def test_objects_of_pandas_may_hold_what_numpy_makes():
    frame = pd.DataFrame({"a": [{"n": np.int64(1), "of": np.arange(2)}, {"b": np.float32(0.5)}]})
    assert DocumentBatch("x", frame).values("a") == [{"n": 1, "of": [0, 1]}, {"b": 0.5}]


def test_an_index_with_a_name_becomes_a_column_and_one_without_is_left_out():
    frame = pd.DataFrame({"text": ["a", "b", "c"]})
    assert to_pandas(from_frame(frame[frame.text != "a"])).columns.tolist() == ["text"]
    assert to_arrow(from_frame(frame.rename_axis("row")[1:])).to_pylist() == [
        {"row": 1, "text": "b"},
        {"row": 2, "text": "c"},
    ]
    levels = pd.MultiIndex.from_arrays([["x", "y", "z"], [1, 2, 3]], names=["key", None])
    assert to_arrow(from_frame(frame.set_axis(levels))).column_names == ["key", "text"]
    with pytest.raises(ContractError, match=r"\['text'\] both in its index and as columns"):
        from_frame(frame.rename_axis("text"))


def test_dicts_become_rows_and_an_absent_key_stays_absent(tmp_path):
    rows = [{"text": "a", "meta": {"x": 1}}, {"text": "b", "n": None, "meta": {"y": [2]}}, {"text": "c", "n": 3}]
    batches = from_frame(rows, rows_per_batch=2)
    assert DocumentBatch(data=rows).get_columns() == ["text", "meta", "n"]
    Pipeline("write", stages=[JsonlWriter(str(tmp_path))]).run(LocalExecutor(num_workers=0), initial_tasks=batches)
    lines = [line for file in tmp_path.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert sorted(lines) == [
        '{"text":"a","meta":{"x": 1}}',
        '{"text":"b","meta":{"y": [2]},"n":null}',
        '{"text":"c","n":3}',
    ]


def test_any_library_that_speaks_arrow_takes_a_batch_and_gives_one():
    batch = DocumentBatch(data=[{"text": "a", "meta": {"x": 1}}, {"text": "b", "meta": {"y": 2}}])
    assert pa.table(batch).to_pylist() == [{"text": "a", "meta": '{"x": 1}'}, {"text": "b", "meta": '{"y": 2}'}]
    assert batch.to_polars().to_dicts() == pa.table(batch).to_pylist()
    assert DocumentBatch(data=batch).to_pyarrow() == pa.table(batch)
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches())
    assert to_arrow(from_frame(reader)).equals(TABLE)
    assert to_arrow(from_frame(TABLE.to_batches()[0])).equals(TABLE)


def test_nothing_at_all_is_one_empty_batch():
    for empty in (TABLE[:0], pd.DataFrame({"text": pd.Series([], dtype="str")}), []):
        (batch,) = from_frame(empty)
        assert batch.num_items == 0
    assert to_arrow([]).num_rows == 0
    assert to_arrow(from_frame(TABLE[:0])).schema == TABLE.schema


@pytest.mark.parametrize("wrong", [3, "text", {"text": ["a"]}, [1, 2], [{"a": 1}, None]])
def test_what_is_no_frame_is_refused(wrong):
    with pytest.raises(TypeError, match="documents are a pyarrow"):
        from_frame(wrong)


def test_what_makes_no_frame_says_why():
    with pytest.raises(ContractError, match="found FileGroupTask: a pipeline gives back"):
        to_pandas([FileGroupTask(data=["a"])])
    batches = [DocumentBatch(data=pa.table({"n": [1]})), DocumentBatch(data=pa.table({"n": ["a"]}))]
    with pytest.raises(ContractError, match=r"columns have several types: \{'n': \['int64', 'string'\]\}"):
        to_arrow(batches)
    with pytest.raises(ValueError, match="rows_per_batch is 0"):
        from_frame(TABLE, rows_per_batch=0)


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.none()
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.none()
TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)) | st.none()
COLUMNS = st.fixed_dictionaries(
    {
        "n": st.lists(NUMBERS, min_size=4, max_size=4),
        "t": st.lists(TEXTS, min_size=4, max_size=4),
        "at": st.lists(TIMES, min_size=4, max_size=4),
        "yes": st.lists(st.booleans() | st.none(), min_size=4, max_size=4),
        "list": st.lists(st.lists(NUMBERS, max_size=3) | st.none(), min_size=4, max_size=4),
    }
)
KINDS = {"n": pa.int64(), "t": pa.string(), "at": pa.timestamp("us"), "yes": pa.bool_(), "list": pa.list_(pa.int64())}


@settings(max_examples=40, deadline=None)
@given(values=COLUMNS, rows=st.integers(1, 5))
def test_values_survive_the_way_through_every_library(values, rows):
    table = pa.table({name: pa.array(each, KINDS[name]) for name, each in values.items()})
    assert to_arrow(from_frame(table, rows_per_batch=rows)).equals(table)
    through_polars = to_arrow(from_frame(polars.DataFrame(table), rows_per_batch=rows))
    assert python(through_polars) == python(table)
    frame = to_pandas(from_frame(table, rows_per_batch=rows))
    through_pandas = to_arrow(from_frame(frame.drop(columns="list"), rows_per_batch=rows))
    assert python(through_pandas) == python(table.drop_columns("list"))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "c"]),
            st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda one: st.lists(one, max_size=2)),
        ),
        max_size=5,
    )
)
def test_dicts_keep_their_values_whatever_these_are(rows):
    batch = DocumentBatch(data=rows)
    for name in batch.get_columns():
        assert batch.values(name) == [row.get(name) for row in rows]
        absent = batch.absent(name)
        assert [name not in row for row in rows] == ([False] * len(rows) if absent is None else absent.tolist())


def test_a_notebook_shows_the_first_rows_escaped_and_cut():
    script = "<script>alert('x')</script>"
    rows = [{"text": f"{script}{'y' * 1000}", script: None, "raw": b"\xff" * 5, "meta": {"<b>": [1]}}] * 25
    batch = DocumentBatch(f"{script}", rows)
    html = batch._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in html
    assert "25 documents (the first 10 are shown), 4 columns" in html
    assert html.count("<tr>") == 11
    assert "… 1,027 characters" in html
    assert "y" * 301 not in html
    assert "<em>null</em>" in html
    assert "5 bytes" in html
    assert "{&#x27;&lt;b&gt;&#x27;: [1]}" in html
    assert isinstance(batch.data, pa.Table)


def test_a_notebook_shows_frames_wide_tables_and_nothing():
    frame = DocumentBatch(data=pd.DataFrame({f"c{n}": [n] for n in range(30)}))
    html = frame._repr_html_()
    assert "1 documents, 30 columns (the first 20 are shown)" in html
    assert html.count("<th>") == 20
    assert "0 documents, 0 columns" in DocumentBatch()._repr_html_()


def test_a_notebook_shows_small_images_and_what_is_wrong_with_others():
    from PIL import Image

    sink = io.BytesIO()
    Image.effect_noise((2000, 1000), 80).save(sink, "JPEG")
    good = ImageObject("a<b>.jpg", "id-1", image_bytes=sink.getvalue(), caption="<i>cat</i>")
    made = ImageObject(image_id="made", image_data=np.zeros((300, 4, 3), np.uint8))
    html = ImageBatch("photos", [good, made, ImageObject("x.jpg", image_bytes=b"nonsense"), *[made] * 20])._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 11
    assert "23 images (the first 12 are shown)" in html
    assert "no image that can be decoded" in html
    assert "&lt;i&gt;cat&lt;/i&gt;" in html
    assert "<i>" not in html
    assert len(html) < 200_000
    assert good.__dict__["_pixels"] is None
