import pytest

from nemo_curator.pipeline.workflow import WorkflowRunResult
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.utils import TaskPerfUtils
from nemo_curator.utils.performance_utils import StagePerfStats, StageTimer

SHARED = StagePerfStats("read", process_time=2.0, num_items_processed=10)


def tasks():
    own = StagePerfStats("write", process_time=1.0, custom_metrics={"bytes": 5})
    return [DocumentBatch(_stage_perf=[SHARED, own]), DocumentBatch(_stage_perf=[SHARED])]


def workflow():
    result = WorkflowRunResult("w")
    result.add_pipeline_tasks("first", tasks())
    return result


def test_a_call_that_made_several_tasks_counts_once():
    metrics = TaskPerfUtils.collect_stage_metrics(tasks())
    assert metrics["read"]["process_time"].tolist() == [2.0]
    assert metrics["write"]["custom.bytes"].tolist() == [5.0]


@pytest.mark.parametrize("given", [workflow(), {"first": tasks()}, {"pipeline_tasks": {"first": tasks()}}])
def test_metrics_of_pipelines_carry_their_name(given):
    assert TaskPerfUtils.aggregate_task_metrics(given, prefix="run")["run_first_read_process_time_sum"] == 2.0


def test_one_metric_is_added_up_over_stages():
    assert TaskPerfUtils.get_aggregated_stage_stat(tasks(), "wri", "process_time") == 1.0


def test_statistics_add_up():
    total = sum([StagePerfStats("s", 1.0, custom_metrics={"a": 1}), StagePerfStats("s", 2.0, custom_metrics={"a": 2})])
    assert (total.process_time, total.custom_metrics) == (3.0, {"a": 3})
    assert dict(total.items())["custom.a"] == 3
    total.reset()
    assert total == StagePerfStats("s")


def test_a_timer_measures_a_call():
    timer = StageTimer(DocumentBatch())
    timer.reinit(3.0)
    with timer.time_process(4):
        pass
    _, stats = timer.log_stats()
    assert (stats.num_items_processed, stats.input_data_size_mb) == (4, 3.0)
    assert stats.process_time >= 0
