import pickle
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.tasks import (
    DocumentBatch,
    EmptyTask,
    FileGroupTask,
    ImageBatch,
    ImageObject,
    NoneTask,
    Task,
    _EmptyTask,
)


@dataclass
class Points(Task[list[int]]):
    data: list[int] = field(default_factory=list)

    @property
    def num_items(self) -> int:
        return len(self.data)

    def validate(self) -> bool:
        return True


TABLE = pa.table({"text": ["a", "b"]})


@pytest.mark.parametrize(
    "make",
    [
        lambda: DocumentBatch("set", TABLE),
        lambda: DocumentBatch(dataset_name="set", data=TABLE),
        lambda: DocumentBatch("id", "set", TABLE),
        lambda: DocumentBatch("id", "set", data=TABLE),
        lambda: DocumentBatch(task_id="id", dataset_name="set", data=TABLE, _metadata={}, _stage_perf=[]),
    ],
)
def test_both_generations_of_constructors_build_the_same_batch(make):
    batch = make()
    assert (batch.dataset_name, batch.data, batch.task_id) == ("set", TABLE, batch.task_id)
    assert batch.task_id in ("", "id")


@pytest.mark.parametrize(
    "make", [lambda: Points("id", "set", [1]), lambda: Points(task_id="id", dataset_name="set", data=[1])]
)
def test_a_users_own_task_takes_an_id_as_in_25_09(make):
    assert (make().task_id, make().dataset_name, make().data) == ("id", "set", [1])


def test_a_users_own_task_needs_no_id():
    assert Points("set", [1, 2]).num_items == 2


def test_a_batch_without_data_is_empty():
    assert DocumentBatch(dataset_name="set").num_items == 0


def test_the_seed_is_known_under_both_names_and_as_class_and_instance():
    assert _EmptyTask is EmptyTask
    assert EmptyTask().task_id == "0"
    assert _EmptyTask(task_id="empty", dataset_name="empty", data=None).num_items == 0
    assert EmptyTask.dataset_name == "empty"
    assert NoneTask().validate()


def test_file_groups_have_the_documented_id():
    assert FileGroupTask(data=["/data/b.jsonl", "/data/a.jsonl"]).get_deterministic_id() == "d7d1e8bb6bcb"


def test_a_file_group_of_something_else_than_a_list_says_so():
    with pytest.raises(TypeError, match="list of paths, not str"):
        FileGroupTask(dataset_name="x", data="a.jsonl")


def test_an_image_batch_counts_its_images():
    assert ImageBatch("set", [ImageObject(image_id="1"), ImageObject(image_id="2")]).num_items == 2


def test_data_is_what_the_batch_was_built_with():
    frame = pd.DataFrame({"text": ["a"]})
    assert DocumentBatch(data=frame).data is frame
    assert DocumentBatch(data=TABLE).data is TABLE
    assert DocumentBatch(data=frame).to_pandas() is frame


def test_after_a_reader_data_is_a_frame_that_becomes_the_truth():
    batch = DocumentBatch.from_arrow(TABLE)
    batch.data["text"] = ["x", "y"]
    assert batch.column("text").to_pylist() == ["x", "y"]
    assert batch.text("text").to_pylist() == ["x", "y"]
    assert batch.to_pyarrow().to_pylist() == [{"text": "x"}, {"text": "y"}]


def test_a_batch_of_something_else_says_what_is_wanted():
    with pytest.raises(TypeError, match="such as a polars"):
        DocumentBatch(data=[1])


@pytest.mark.parametrize("data", [pa.table({"n": [1, 2, 3]}), pd.DataFrame({"n": [1, 2, 3]}, index=[7, 7, 9])])
def test_rows_are_kept_sliced_and_columns_added_without_touching_the_input(data):
    batch = DocumentBatch(data=data)
    made = batch.with_column("m", [4, 5, 6]).filter(np.array([True, False, True])).slice(1, 1)
    assert made.to_pyarrow().to_pylist() == [{"n": 3, "m": 6}]
    assert batch.get_columns() == ["n"]
    assert type(made.data) is type(data)


def test_a_frame_keeps_objects_that_arrow_has_no_type_for():
    marker = object()
    batch = DocumentBatch(data=pd.DataFrame({"text": ["a", "b"], "it": [marker, 1]}))
    assert batch.filter(np.array([True, False])).data["it"].tolist() == [marker]


def test_no_index_becomes_a_column():
    frame = pd.DataFrame({"n": [1, 2]}, index=[5, 3])
    assert DocumentBatch(data=frame).to_pyarrow().column_names == ["n"]


def test_large_integers_with_nulls_survive_the_way_through_pandas():
    table = pa.table({"n": pa.array([2**53 + 1, None]), "yes": pa.array([True, None])})
    batch = DocumentBatch.from_arrow(table)
    assert batch.data["n"].iloc[0] == 2**53 + 1
    assert batch.to_pyarrow().to_pylist() == table.to_pylist()


def test_values_of_differing_types_travel_as_json():
    batch = DocumentBatch.from_arrow(TABLE).with_column("mixed", [{"a": 1}, "b"])
    assert batch.data["mixed"].tolist() == [{"a": 1}, "b"]


def test_rows_are_taken_in_any_order_and_any_number_of_times():
    batch = DocumentBatch.from_arrow(
        pa.table({"text": ["a", "b", None], "n": [1, 2, 3]}), absent=pa.table({"n": [False, True, False]})
    )
    batch.text("text").remember("lengths", lambda: np.array([1, 1, 0]))
    made = batch.take(np.array([2, 0, 2]))
    assert made.column("text").to_pylist() == [None, "a", None]
    assert made.text("text").lengths.tolist() == [0, 1, 0]
    assert made.absent("n").tolist() == [False, False, False]
    frame = DocumentBatch(data=batch.to_pandas()).take(np.array([1, 0]))
    assert frame.data["n"].tolist() == [2, 1]
    assert list(frame.data.index) == [0, 1]


def test_a_pickled_slice_carries_only_its_rows():
    batch = DocumentBatch.from_arrow(pa.table({"text": ["x" * 1000] * 1000}))
    assert len(pickle.dumps(batch.slice(10, 2))) < 5000


def test_counted_statistics_survive_filtering_and_not_pickling():
    batch = DocumentBatch.from_arrow(pa.table({"text": ["a b", "c"]}))
    assert batch.text("text").word_counts.tolist() == [2, 1]
    kept = batch.filter(np.array([False, True]))
    assert kept.text("text") is kept.text("text")
    assert kept.text("text").word_counts.tolist() == [1]
    assert pickle.loads(pickle.dumps(kept))._texts == {}
