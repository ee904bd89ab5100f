from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import ContractError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.interleaved.filter.image_to_text_ratio_filter import InterleavedImageToTextRatioFilterStage
from nemo_curator.stages.interleaved.stages import BaseInterleavedFilterStage
from nemo_curator.tasks import InterleavedBatch
from nemo_curator.tasks.interleaved import INTERLEAVED_SCHEMA

ROWS = [
    # out of order on purpose
    ("b", 1, "image", None),
    ("b", 0, "image", None),
    ("a", -1, "metadata", None),
    ("a", 1, "image", None),
    ("a", 0, "text", "two words"),
    ("a", 2, "text", " and three more\n"),
    ("c", 0, "text", None),
    ("c", 1, "text", "only text"),
]


def batch(rows=ROWS, *, errors=None):
    names = ["sample_id", "position", "modality", "text_content"]
    columns = dict(zip(names, map(list, zip(*rows)), strict=True))
    table = pa.table(columns, schema=pa.schema([INTERLEAVED_SCHEMA.field(name) for name in names]))
    if errors is not None:
        table = table.append_column("materialize_error", pa.array(errors, pa.string()))
    return InterleavedBatch(dataset_name="mint", data=table)


@dataclass
class KeepImages(BaseInterleavedFilterStage):
    name: str = "keep_images"

    def content_keep_mask(self, task, df):
        return df["modality"] == "image"


def rows_of(made):
    return [tuple(row.values())[:3] for row in made.to_pyarrow().to_pylist()]


def run(stage, task):
    pipeline = Pipeline("interleaved", stages=[stage])
    made = pipeline.run(LocalExecutor(num_workers=0), initial_tasks=[task])
    return made, pipeline.last_run


def test_samples_outside_the_ratio_go_as_a_whole_and_are_counted():
    made, account = run(InterleavedImageToTextRatioFilterStage(min_ratio=0.1, max_ratio=1.0), batch())
    # a: 1 image, 5 words; b: 2 images and no words; c: no image
    assert rows_of(made[0]) == [("a", -1, "metadata"), ("a", 0, "text"), ("a", 1, "image"), ("a", 2, "text")]
    assert account.dropped() == {"interleaved_image_to_text_ratio_filter": 2}
    assert (account.stages[0].rows_in, account.stages[0].rows_out) == (3, 1)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, {"a", "b", "c"}),
        ({"min_ratio": 0.2}, {"a", "b"}),
        ({"min_ratio": 0.21}, {"b"}),
        ({"min_ratio": 2.0}, {"b"}),
        ({"max_ratio": 0.0}, {"c"}),
    ],
)
def test_both_limits_of_the_ratio_belong_to_it(settings, kept):
    made, _ = run(InterleavedImageToTextRatioFilterStage(**settings), batch())
    assert set(made[0].to_pyarrow()["sample_id"].to_pylist()) == kept


def test_a_ratio_that_nothing_can_have_is_refused():
    with pytest.raises(ValueError, match="no ratio is within them"):
        InterleavedImageToTextRatioFilterStage(min_ratio=2.0, max_ratio=1.0)


def test_what_stays_is_numbered_anew_and_metadata_alone_is_no_sample():
    made, account = run(KeepImages(), batch())
    assert rows_of(made[0]) == [("a", -1, "metadata"), ("a", 0, "image"), ("b", 0, "image"), ("b", 1, "image")]
    assert account.dropped() == {"keep_images": 1}


def test_an_image_that_could_not_be_loaded_goes_unless_told_otherwise():
    errors = ["404", None, None, None, None, None, None, None]
    made, _ = run(KeepImages(), batch(errors=errors))
    assert [row for row in rows_of(made[0]) if row[0] == "b"] == [("b", 0, "image")]
    made, _ = run(KeepImages(drop_invalid_rows=False), batch(errors=errors))
    assert len([row for row in rows_of(made[0]) if row[0] == "b"]) == 2


def test_a_frame_is_as_good_as_a_table():
    frame = pd.DataFrame(batch().to_pyarrow().to_pandas())
    made, _ = run(KeepImages(), InterleavedBatch("mint", frame))
    assert rows_of(made[0]) == rows_of(run(KeepImages(), batch())[0][0])


def test_a_mask_that_does_not_fit_is_an_error_that_names_the_stage():
    @dataclass
    class Short(BaseInterleavedFilterStage):
        name: str = "short"

        def content_keep_mask(self, task, df):
            return [True]

    with pytest.raises(ValueError, match="content_keep_mask of short gave 1 values for 8 rows"):
        Short().process(batch())


def test_a_batch_counts_samples_and_rows():
    task = batch()
    assert (task.num_items, task.count(), task.count("image"), task.count("table")) == (3, 8, 3, 0)
    assert task.validate()
    assert not InterleavedBatch("empty").validate()
    assert not InterleavedBatch("odd", pa.table({"text": ["a"]})).validate()


def test_a_batch_without_the_columns_is_refused_by_name():
    with pytest.raises(Exception, match="sample_id") as caught:
        run(KeepImages(), InterleavedBatch("odd", pa.table({"text": ["a"]})))
    assert isinstance(caught.value, ContractError) or "ContractError" in str(caught.value)


@pytest.mark.parametrize("name", ["sample_id", "modality"])
def test_a_row_that_belongs_nowhere_is_refused_and_not_lost(name):
    columns = {"sample_id": ["a", "a"], "position": [0, 1], "modality": ["image", "image"]}
    table = pa.table({**columns, name: ["image", None]})
    with pytest.raises(ContractError, match=rf"nulls in {{'{name}': 1}}; wanted a value in every row"):
        KeepImages().process(InterleavedBatch(dataset_name="mint", data=table))
