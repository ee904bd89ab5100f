import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import ContractError
from nemo_curator.stages.deduplication.keep import keep_rule
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.json_column import encoded


def survivor(keep, ids, **columns):
    """The id that stays."""
    rule = keep_rule(keep)
    batch = DocumentBatch.from_arrow(pa.table({"text": pa.nulls(len(ids), pa.string()), **columns}))
    return ids[int(np.argmin(rule.ranks(pa.array(ids), rule.keys(batch, "text"))))]


@pytest.mark.parametrize(
    ("keep", "columns", "stays"),
    [
        ("first", {}, 1),
        ("longest", {"text": ["ééé", "aaaa", "aaaa"]}, 1),
        ({"column": "score"}, {"score": [0.5, 2.0, 0.25]}, 9),
        ({"column": "score", "descending": True}, {"score": [0.5, 2.0, 0.25]}, 1),
        ({"column": "score", "descending": True}, {"score": [None, float("nan"), 0.0]}, 9),
        ({"column": "score"}, {"score": [None, None, None]}, 1),
        ({"column": "score"}, {"score": encoded(["1", "0.5", "2"])}, 1),
        ({"column": "date", "descending": True}, {"date": ["2024-01-02", "2024-01-10", "2023"]}, 1),
        ({"column": "is_clean", "descending": True}, {"is_clean": [False, False, True]}, 9),
        ({"column": "big"}, {"big": [2**60 + 1, 2**60 + 2, 2**60]}, 9),
    ],
)
def test_the_first_in_keep_order_stays(keep, columns, stays):
    assert survivor(keep, [5, 1, 9], **columns) == stays


def test_ids_of_text_are_compared_as_text():
    assert survivor("first", ["b", "10", "9"]) == "10"


@pytest.mark.parametrize(
    ("sources", "keys"),
    [
        (["/in/b"], [None, None, 0, 0]),
        (["/in/a.jsonl", "/in/"], [0, 0, 1, 1]),
        (["file:///in/b/", "/in/a"], [None, None, 0, 0]),
        (["/other", "/in/b/2.jsonl", "/"], [2, 2, 1, 1]),
    ],
)
def test_a_document_has_the_place_of_the_source_that_its_file_is_in(sources, keys):
    metadata = {"source_files": ["/in/b/2.jsonl", "/in/empty.jsonl", "/in/a.jsonl"]}
    metadata["row_numbers"] = [[7, 9], [7, 7], [3, 6]]
    rows = pa.table({"_curator_dedup_id": [3, 5, 7, 8]})
    batch = DocumentBatch.from_arrow(rows, metadata=metadata)
    assert keep_rule({"sources": sources}).keys(batch, "text").to_pylist() == keys


def test_sources_behind_urls_may_be_spelled_in_several_ways():
    batch = DocumentBatch.from_arrow(pa.table({"text": ["a"]}), metadata={"source_files": ["memory:///in/web/a.jsonl"]})
    assert keep_rule({"sources": ["memory://in/books", "memory://in/web/"]}).keys(batch, "text").to_pylist() == [1]


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(-2, 2)),
        min_size=1,
        unique_by=lambda pair: pair[0],
    )
)
def test_ranks_do_not_depend_on_the_order_of_the_rows(rows):
    rule = keep_rule({"column": "score", "descending": True})
    orders = []
    for some in (rows, rows[::-1]):
        ids, keys = (list(column) for column in zip(*some))
        ranks = rule.ranks(pa.array(ids, pa.int64()), pa.array(keys, pa.float64()))
        orders.append(sorted(zip(ids, ranks.tolist())))
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    "keep",
    [
        "best",
        {"col": "score"},
        {"column": 3},
        {"column": "a", "descending": "yes"},
        {"sources": []},
        {"sources": "a"},
        None,
    ],
)
def test_an_unknown_rule_says_which_there_are(keep):
    with pytest.raises(ValueError, match=r'wanted "first", "longest", {"column"'):
        keep_rule(keep)


def test_values_that_cannot_be_compared_are_an_error():
    with pytest.raises(ContractError, match=r"'score' holds values of several types, such as 'a'"):
        survivor({"column": "score"}, [1, 2], score=encoded(["1", '"a"']))
    with pytest.raises(ContractError, match=r"'score' holds list"):
        survivor({"column": "score"}, [1, 2], score=[[1], [2]])
