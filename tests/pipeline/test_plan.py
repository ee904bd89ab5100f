from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from nemo_curator.errors import ContractError, MissingExtraError
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.plan import check_contract, flatten, make_plan, task_types
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask, ImageBatch


@dataclass
class List(ProcessingStage[EmptyTask, FileGroupTask]):
    name: str = "list"

    def process(self, _: EmptyTask) -> list[FileGroupTask]:
        return [FileGroupTask(data=["a"])]


@dataclass
class Read(ProcessingStage[FileGroupTask, DocumentBatch]):
    columns: list[str] = field(default_factory=list)
    name: str = "read"

    def outputs(self):
        return ["data"], self.columns

    def process(self, task: FileGroupTask) -> DocumentBatch:
        return DocumentBatch(data=pa.table({column: ["x"] for column in self.columns}))


@dataclass
class Own(ProcessingStage[DocumentBatch, DocumentBatch]):
    """A user's stage: says nothing about columns."""

    name: str = "own"

    def process(self, batch: DocumentBatch) -> DocumentBatch:
        return batch


class Both(CompositeStage[EmptyTask, DocumentBatch]):
    def decompose(self):
        return [List(), Read(["text"])]


class Deeper(CompositeStage[EmptyTask, DocumentBatch]):
    def decompose(self):
        return [Both(), Own()]


class Single(CompositeStage[DocumentBatch, DocumentBatch]):
    def decompose(self):
        return [Own()]


def words(**kwargs):
    return ScoreFilter(WordCountFilter(), **kwargs)


def physical(stages, **kwargs):
    return [[stage.name for stage in one.stages] for segment in make_plan(stages, **kwargs).segments for one in segment]


def test_composites_are_flattened_however_deep_also_those_of_one_part():
    assert [stage.name for stage in flatten([Deeper(), Single()])] == ["list", "read", "own", "own"]


def test_neighbours_with_the_same_demands_run_as_one_but_never_with_the_source():
    plan = make_plan([Both(), words(), Own()])
    assert plan.source.name == "list"
    assert physical([Both(), words(), Own()]) == [["read", "word_count", "own"]]


@pytest.mark.parametrize(
    "settings",
    [
        {"resources": Resources(cpus=2)},
        {"resources": Resources(gpus=1)},
        {"runtime_env": {"env_vars": {}}},
        {"batch_size": 4},
        {"num_workers": 3},
        {"xenna_stage_spec": {"slots_per_actor": 2}},
        {"ray_stage_spec": {"max_workers": 2}},
    ],
)
def test_a_stage_with_demands_of_its_own_runs_by_itself(settings):
    assert physical([Both(), Own().with_(**settings), words()]) == [["read"], ["own"], ["word_count"]]


def test_two_gpu_stages_do_not_fuse():
    gpu = Own().with_(resources=Resources(gpus=1))
    assert physical([Both(), gpu, gpu]) == [["read"], ["own"], ["own"]]


@dataclass
class Light(Own):
    is_light = True
    name: str = "light"


def test_light_stages_run_where_their_neighbours_do():
    heavy = Own().with_(name="heavy", resources=Resources(cpus=4), num_workers=2)
    (reader, together) = make_plan([Both(), heavy, Light(), Light()]).segments[0]
    assert (reader.name, together.name) == ("read", "heavy + light + light")
    assert (together.resources.cpus, together.num_workers) == (4, 2)
    (alone,) = make_plan([Light(), heavy], tasks=[DocumentBatch("d", pa.table({"text": ["a"]}))]).segments[0]
    assert (alone.name, alone.resources.cpus, alone.num_workers) == ("light + heavy", 4, 2)
    assert physical([Both(), Light(), heavy, Light(), Own()]) == [["read", "light"], ["heavy", "light"], ["own"]]


@pytest.mark.parametrize("settings", [{"resources": Resources(gpus=1)}, {"ray_stage_spec": {"max_workers": 2}}])
def test_light_stages_are_left_apart_from_gpus_and_from_settings_for_engines(settings):
    apart = Own().with_(**settings)
    assert physical([Both(), apart, Light()]) == [["read"], ["own"], ["light"]]


def test_a_light_stage_with_demands_of_its_own_runs_by_itself():
    own = Light().with_(resources=Resources(cpus=0.5))
    assert physical([Both(), Own().with_(resources=Resources(cpus=2)), own]) == [["read"], ["own"], ["light"]]


def test_fusion_can_be_turned_off():
    assert physical([Both(), words(), Own()], fuse=False) == [["read"], ["word_count"], ["own"]]


def test_a_barrier_cuts_the_plan():
    class Everything(Own):
        is_barrier = True

    plan = make_plan([Both(), words(), Everything(), Own()])
    assert [[one.name for one in segment] for segment in plan.segments] == [["read + word_count"], ["own"], ["own"]]


def test_a_missing_column_names_both_stages_and_the_likely_one():
    with pytest.raises(
        ContractError, match=r"word_count needs \['txet'\]; columns from read: \['text'\]; did you mean 'text'"
    ):
        make_plan([Both(), words(text_field="txet")])


def test_columns_that_stages_add_are_known_further_down():
    stages = [
        Both(),
        Modify(str.upper, output_fields="loud"),
        words(text_field="loud", score_field="n"),
        words(text_field="n"),
    ]
    make_plan(stages)


def test_after_a_stage_that_says_nothing_about_columns_any_may_be_there():
    make_plan([Both(), Own(), words(text_field="whatever")])


def test_columns_that_a_reader_will_find_are_checked():
    stages = flatten([List(), Read(), Modify(str.upper), words(text_field="txet")])
    check_contract(stages)
    with pytest.raises(ContractError, match="did you mean 'text'"):
        check_contract(stages, read={1: ["text", "url"]})


def test_kinds_of_task_that_do_not_fit_name_both_stages():
    class Look(ProcessingStage[ImageBatch, ImageBatch]):
        name = "look"

        def process(self, task):
            return task

    with pytest.raises(ContractError, match="look takes ImageBatch, but read makes DocumentBatch"):
        make_plan([Both(), Look()])


def test_a_source_in_the_middle_is_refused():
    with pytest.raises(ContractError, match="list makes tasks out of nothing, so it comes first; found after own"):
        make_plan([Both(), Own(), List()])


def test_kinds_are_found_through_subclasses():
    class Sub(Own):
        pass

    assert task_types(Sub()) == (DocumentBatch, DocumentBatch)


def test_a_missing_extra_is_one_sentence_before_the_run():
    class Needy(Own):
        requires = {"no_such_module.part": "text"}

    with pytest.raises(
        MissingExtraError, match=r"own: no_such_module is not installed; get it with: pip install 'curator-ray\[text\]'"
    ):
        make_plan([Both(), Needy()])


def test_two_explicit_sources_are_refused():
    class Source(Own):
        is_source_stage = True

    with pytest.raises(ValueError, match="only one stage can be is_source_stage"):
        make_plan([Source(), Source()])


def test_an_empty_pipeline_is_refused():
    with pytest.raises(ValueError, match="'nothing' has no stages"):
        Pipeline("nothing").run()


def test_something_else_than_a_stage_is_refused():
    with pytest.raises(TypeError, match="a pipeline is made of stages"):
        Pipeline("x").add_stage(print)


def test_build_flattens_and_says_what_composites_became():
    pipeline = Pipeline("x", stages=[Both(), Own()])
    assert [stage.name for stage in pipeline.build()] == ["list", "read", "own"]
    assert pipeline.decomposition_info == {"Both": ["list", "read"]}
    assert repr(pipeline) == "Pipeline(name='x', stages=[list(List), read(Read), own(Own)])"


def test_planning_leaves_the_stages_as_they_are():
    pipeline = Pipeline("x", stages=[Both(), Own()])
    make_plan(pipeline.stages)
    pipeline.describe()
    assert len(pipeline.stages) == 2


def test_describe_shows_the_pipeline_as_written_and_as_it_runs():
    text = Pipeline("x", "what it does", [Both(), words(), Own().with_(resources=Resources(gpus=1))]).describe()
    assert text == (
        "Pipeline: x\nDescription: what it does\nStages: 3\n"
        "\nStage 1: Both\n  Composite stage: Both\n  Parts: list, read\n"
        "\nStage 2: word_count\n  Resources: 1 CPUs\n  Batch size: 1\n"
        "  Inputs: data with columns text\n  Outputs: data with columns text\n"
        "\nStage 3: own\n  Resources: 1 CPUs\n  GPU: 1\n  Batch size: 1\n"
        "\nRuns as:\n  source: list, where the run is started\n"
        "  1. read + word_count (1 CPUs)\n  2. own (1 CPUs, 1 GPUs)"
    )
