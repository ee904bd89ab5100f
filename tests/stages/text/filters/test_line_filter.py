import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import DocumentFilter, LineFilter, WordCountFilter
from nemo_curator.stages.text.filters.line import (
    CounterLineFilter,
    EndMarkFilter,
    ForbiddenSubstringsFilter,
    NumericLineFilter,
    UppercaseFilter,
)
from nemo_curator.tasks import DocumentBatch

PAGE = "Home\nA cat sat on the mat.\n\nNext page\nIt was happy there!"
THREE = WordCountFilter(min_words=3)


def batch(*texts, kind=None):
    return DocumentBatch.from_arrow(pa.table({"id": range(len(texts)), "text": pa.array(texts, kind or pa.string())}))


def cleaned(stage, *texts):
    return stage.process(batch(*texts)).column("text").to_pylist()


def test_lines_go_and_documents_stay():
    made = LineFilter(THREE, removed_share_field="gone").process(batch(PAGE, "no", "", None, "a b c"))
    assert made.column("text").to_pylist() == [
        "A cat sat on the mat.\nIt was happy there!",
        "",
        "",
        None,
        "a b c",
    ]
    assert made.column("gone").to_pylist() == [3 / 13, 1.0, 0.0, 0.0, 0.0]
    assert made.column("id").to_pylist() == [0, 1, 2, 3, 4]


def test_blank_lines_may_be_kept():
    assert cleaned(LineFilter(THREE, keep_blank_lines=True), PAGE) == ["A cat sat on the mat.\n\nIt was happy there!"]


def test_documents_that_lose_too_much_are_dropped_and_counted():
    pipeline = Pipeline("clean", stages=[LineFilter([THREE, EndMarkFilter()], max_removed_share=0.5)])
    made = pipeline.run(initial_tasks=[batch(PAGE, "one two\nthree four five.", "a b\nc d")])
    assert made[0].column("id").to_pylist() == [0, 1]
    assert pipeline.last_run.dropped() == {"line_filter": 1}
    metrics = made[0]._stage_perf[-1].custom_metrics
    assert metrics == {"lines_removed_by_word_count": 6, "lines_removed_by_end_mark": 0}


def test_a_batch_in_which_no_line_goes_keeps_what_was_counted():
    before = batch("a b c", None)
    column = before.text("text")
    assert LineFilter(THREE).process(before).text("text") is column


def test_filters_may_be_inverted_and_a_frame_stays_a_frame():
    frame = pd.DataFrame({"text": ["a b c\nd"]}, index=[4])
    made = LineFilter([THREE, EndMarkFilter()], invert=[True, True]).process(DocumentBatch(data=frame))
    assert made.data.to_dict("records") == [{"text": "d"}]


class _Evens(DocumentFilter):
    """Keep lines of an even length."""

    def score_document(self, text):
        return len(text)

    def keep_document(self, score):
        return score % 2 == 0


@given(
    texts=st.lists(st.none() | st.text(st.sampled_from("ab \n\ré")), max_size=5),
    keep_blank=st.booleans(),
    limit=st.sampled_from([0.0, 0.3, 1.0]),
    kind=st.sampled_from([pa.string(), pa.large_string()]),
)
@settings(deadline=None, max_examples=200)
def test_columns_are_cleaned_as_python_would_clean_each_text(texts, keep_blank, limit, kind):
    stage = LineFilter([_Evens(), THREE], invert=[False, True], keep_blank_lines=keep_blank, max_removed_share=limit)
    expected = []
    for number, text in enumerate(texts):
        lines = [] if text is None else text.split("\n")
        stays = [(keep_blank and not line.split()) or (len(line) % 2 == 0 and len(line.split()) < 3) for line in lines]
        gone = sum(len(line.split()) for line, stay in zip(lines, stays) if not stay)
        if gone / max(sum(len(line.split()) for line in lines), 1) <= limit:
            kept = "\n".join(line for line, stay in zip(lines, stays) if stay)
            expected.append((number, None if text is None else kept))
    made = stage.process(batch(*texts, kind=kind))
    assert list(zip(made.column("id").to_pylist(), made.column("text").to_pylist())) == expected
    assert made.column("text").type == kind


@pytest.mark.parametrize(
    ("one", "kept", "removed"),
    [
        (EndMarkFilter(), ["It ends.", "So? ", 'He said "no"', "a!\t\r"], ["It goes on", "on...", "on…", "", "a,"]),
        (EndMarkFilter(end_marks=["。"]), ["完。"], ["完", "a."]),
        (UppercaseFilter(), ["Mostly lower", "AbAb", "", "123", "ÀÉà é"], ["BUY NOW today", "ÀÉÀ é", "ПРИВЕТ"]),
        (UppercaseFilter(0.9), ["BUY NOW today"], ["BUY"]),
        (NumericLineFilter(), ["3 cats", "", "!?", "x"], ["2024-01-02", "$3.50", " 17 ", "٣", "1,234 (56)"]),
        (CounterLineFilter(), ["He likes 3 cats", "3 likely", "likes"], ["3 likes", "12.5K Views", "Comments (12)"]),
        (CounterLineFilter(), ["1 vote for me"], ["1 vote", " · 1,234 followers · ", "Replies: 0", "👍 3 Likes"]),
        (ForbiddenSubstringsFilter(["JavaScript", "{"]), ["java script"], ["enable javascript", "a{b}"]),
        (ForbiddenSubstringsFilter(["a.c", "b", "c", "d"]), ["axe", ""], ["A.C", "D"]),
    ],
)
def test_a_filter_of_lines_knows_the_lines_that_stay(one, kept, removed):
    scores = [one.score_document(line) for line in [*kept, *removed]]
    assert [bool(one.keep_document(score)) for score in scores] == [True] * len(kept) + [False] * len(removed)


@given(st.lists(st.text(st.sampled_from("aB1É.…!?\"' \t\x1c\u2028")), max_size=6))
@settings(deadline=None)
def test_the_end_of_a_line_is_found_as_python_finds_it(lines):
    expected = [
        line.rstrip().endswith((".", "?", "!", '"', "'")) and not re.search(r"\.\.\.\Z", line.rstrip())
        for line in lines
        if not re.search(r"[\x1c-\x1f]\s*\Z", line)
    ]
    lines = [line for line in lines if not re.search(r"[\x1c-\x1f]\s*\Z", line)]
    one = EndMarkFilter()
    assert np.asarray([one.score_document(line) for line in lines], bool).tolist() == expected
