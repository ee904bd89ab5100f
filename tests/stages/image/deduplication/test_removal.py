import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.image.deduplication import ImageDuplicatesRemovalStage
from nemo_curator.tasks.image import ImageBatch, ImageObject
from tests.stages.image.images import ids, noises, run


def write(path, values, name="id"):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({name: values}), path)


def named(*names):
    return ImageBatch(dataset_name="set", data=[ImageObject(image_id=name) for name in names], task_id="t")


def test_ids_are_taken_from_all_files_and_the_order_stays(tmp_path):
    write(tmp_path / "a.parquet", ["i1", None])
    write(tmp_path / "deep" / "b.parquet", ["i3", "other"])
    made, ran = run([ImageDuplicatesRemovalStage(str(tmp_path))], [noises(5)])
    assert ids(made[0]) == ["i0", "i2", "i4"]
    assert ran.dropped() == {"image_dedup_filter": 2}


def test_the_column_has_any_name_and_integers_are_ids_too(tmp_path):
    write(tmp_path / "a.parquet", pa.array([7, 10, None]), "image")
    stage = ImageDuplicatesRemovalStage(str(tmp_path), "image")
    assert ids(stage.process(named("7", "07", "x", "10", "11", ""))) == ["07", "x", "11", ""]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_an_image_without_an_id_stays_whatever_is_listed(tmp_path, kind):
    write(tmp_path / "a.parquet", pa.array(["", None, "None", "b"]).cast(kind))
    assert ids(ImageDuplicatesRemovalStage(str(tmp_path)).process(named("", None, "a", "b"))) == ["", None, "a"]


def test_ids_are_read_through_any_storage(tmp_path):
    with fsspec.open("memory://removal/a.parquet", "wb") as file:
        pq.write_table(pa.table({"id": ["i0"]}), file)
    made, _ = run([ImageDuplicatesRemovalStage("memory://removal")], [noises(2)])
    assert ids(made[0]) == ["i1"]


def test_a_folder_without_files_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="No parquet files found in"):
        ImageDuplicatesRemovalStage(str(tmp_path)).setup()
    write(tmp_path / "a.parquet", ["x"], "name")
    pq.write_table(pa.table({"name": ["x"], "more": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has no column 'id'"):
        ImageDuplicatesRemovalStage(str(tmp_path)).setup()


def test_an_empty_list_removes_nothing_and_workers_per_node_are_passed_on(tmp_path):
    write(tmp_path / "a.parquet", pa.array([], pa.string()))
    stage = ImageDuplicatesRemovalStage(str(tmp_path), num_workers_per_node=2)
    assert ids(stage.process(named("a"))) == ["a"]
    assert stage.xenna_stage_spec() == {"num_workers_per_node": 2}
    assert ImageDuplicatesRemovalStage(str(tmp_path)).xenna_stage_spec() == {}
