import pickle
from dataclasses import dataclass

import cloudpickle
import pytest

from nemo_curator.stages.base import CompositeStage, ProcessingStage, get_stage_class
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import DocumentBatch, EmptyTask, Task


class Plain(ProcessingStage[DocumentBatch, DocumentBatch]):
    name = "plain"

    def process(self, task: DocumentBatch) -> DocumentBatch:
        return task


class Older(ProcessingStage[DocumentBatch, DocumentBatch]):
    _name = "older"
    _resources = Resources(cpus=2.0)
    _batch_size = 4

    def process(self, task):
        return task


@dataclass
class OlderData(ProcessingStage[DocumentBatch, DocumentBatch]):
    length: int = 1
    _name: str = "older_data"

    def __post_init__(self):
        self._resources = Resources(cpus=3.0)

    def process(self, task):
        return task


@dataclass
class Pair(CompositeStage[EmptyTask, DocumentBatch]):
    name: str = "pair"

    def decompose(self):
        return [Plain().with_(name="one"), Plain().with_(name="two")]


class Nested(CompositeStage[EmptyTask, DocumentBatch]):
    def decompose(self):
        return [Pair(), Plain()]


def test_stages_of_25_09_and_later_look_the_same_from_outside():
    assert (Older().name, Older().resources.cpus, Older().batch_size) == ("older", 2.0, 4)
    assert (OlderData().name, OlderData().resources.cpus) == ("older_data", 3.0)
    assert OlderData(_name="mine").name == "mine"
    assert (Plain()._name, Plain()._resources.cpus, Plain()._batch_size) == ("plain", 1.0, 1)


@pytest.mark.parametrize("stage", [Plain(), Older(), OlderData()])
def test_with_returns_a_changed_copy(stage):
    before = stage.get_config()
    changed = stage.with_(name="new", resources=Resources(cpus=5), batch_size=7, num_workers=2, runtime_env={"pip": []})
    assert (changed.name, changed._name, changed.resources.cpus, changed.batch_size) == ("new", "new", 5, 7)
    assert (changed.num_workers(), changed.runtime_env) == (2, {"pip": []})
    assert changed.with_(num_workers=None).num_workers() is None
    assert stage.get_config() == before


def test_engine_settings_are_merged():
    stage = Plain().with_(xenna_stage_spec={"a": 1}, ray_stage_spec={"max_workers": 2}).with_(xenna_stage_spec={"b": 2})
    assert stage.xenna_stage_spec() == {"a": 1, "b": 2}
    assert stage.ray_stage_spec() == {"is_fanout_stage": False, "max_workers": 2}
    with pytest.raises(ValueError, match="num_workers itself"):
        Plain().with_(xenna_stage_spec={"num_workers": 1})


def test_a_changed_stage_can_be_sent_to_a_worker():
    stage = cloudpickle.loads(cloudpickle.dumps(Plain().with_(num_workers=3, ray_stage_spec={"max_workers": 2})))
    assert stage.num_workers() == 3


def test_with_on_a_composite_returns_a_copy_and_reaches_its_parts():
    composite = Pair()
    changed = composite.with_({"two": {"batch_size": 9}})
    assert [part.batch_size for part in changed.decompose_and_apply_with()] == [1, 9]
    assert [part.batch_size for part in composite.decompose_and_apply_with()] == [1, 1]


def test_with_on_a_composite_names_unknown_parts():
    with pytest.raises(ValueError, match=r"no parts \['three'\]; its parts are \['one', 'two'\]"):
        Pair().with_({"three": {}}).decompose_and_apply_with()


def test_settings_reach_a_nested_composite():
    changed = Nested().with_({"pair": {"one": {"batch_size": 3}}})
    assert changed.decompose_and_apply_with()[0].decompose_and_apply_with()[0].batch_size == 3


def test_stages_are_found_by_class_name():
    assert get_stage_class("Plain") is Plain
    with pytest.raises(KeyError, match="no stage class is called 'Missing'"):
        get_stage_class("Missing")


def test_a_stage_without_a_name_has_that_of_its_class():
    class Nameless(Plain):
        pass

    class Fresh(ProcessingStage[Task, Task]):
        def process(self, task):
            return task

    assert (Nameless().name, Fresh().name) == ("plain", "Fresh")


def test_a_return_annotation_with_a_list_means_fan_out():
    class Many(Plain):
        def process(self, task) -> "list[DocumentBatch] | None":
            return [task]

    assert Many().is_fanout_stage()
    assert not Plain().is_fanout_stage()


def test_metrics_of_a_call_are_handed_over_once():
    stage = Plain()
    stage._log_metric("n", 1)
    with stage._time_metric("t"):
        pass
    assert set(stage._consume_custom_metrics()) == {"n", "t"}
    assert stage._consume_custom_metrics() == {}


def test_a_function_becomes_a_stage_that_keeps_its_own_metadata():
    @processing_stage(name="mark", resources={"cpus": 0.5}, batch_size=3)
    def mark(task: DocumentBatch) -> DocumentBatch:
        return DocumentBatch(data=task.data, _metadata={"new": 1})

    made = mark.process(DocumentBatch(_metadata={"old": 1}))
    assert made._metadata == {"old": 1, "new": 1}
    assert (mark.name, mark.resources.cpus, mark.batch_size) == ("mark", 0.5, 3)
    assert mark(DocumentBatch()).num_items == 0


def test_a_function_may_drop_a_task():
    assert processing_stage(name="none")(lambda task: None).process(DocumentBatch()) is None


def test_a_function_of_two_tasks_is_refused():
    with pytest.raises(ValueError, match="takes 2 parameters"):
        processing_stage(name="two")(lambda a, b: a)


def test_a_column_named_like_an_attribute_of_a_frame_is_not_taken_for_granted():
    class Counts(Plain):
        def inputs(self):
            return ["data"], ["count"]

    assert not Counts().validate_input(DocumentBatch())


def test_inputs_may_depend_on_the_kind_of_task():
    class Either(Plain):
        def inputs(self):
            return {Task: (["data"], []), DocumentBatch: (["data"], ["text"])}

    assert Either().input_spec_for_task(DocumentBatch()) == (["data"], ["text"])


def test_resources_refuse_two_ways_to_ask_for_a_gpu():
    with pytest.raises(ValueError, match="not both"):
        Resources(gpus=1, gpu_memory_gb=8)
    assert Resources(entire_gpu=True).gpus == 1.0
    assert Resources(gpu_memory_gb=8).requires_gpu
    assert pickle.loads(pickle.dumps(Resources(2))) == Resources(cpus=2)
