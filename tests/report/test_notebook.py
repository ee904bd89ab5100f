"""What a notebook shows."""

from nemo_curator.pipeline.workflow import WorkflowRunResult
from tests.report.conftest import make_pipeline
from tests.report.parsing import Page


def test_a_run_is_shown_as_its_funnel(finished):
    run = finished[0]
    page = Page(run._repr_html_())
    assert "pages ✓ Finished; 1 row failed and were set aside" in page.root.all("p")[0].text
    rows = [row for row in page.root.all("table")[0].rows() if row[0] == "Output"]
    assert rows == [["Output", "", "", str(run.stages[2].rows_out)]]


def test_a_workflow_is_shown_with_each_of_its_runs(finished):
    result = WorkflowRunResult("dedup", runs={"find": finished[0], "removal": finished[0]})
    result.add_metadata("clusters", {"clusters": 1, "removed": 2, "measured": {"exact": 2}, "largest": []})
    page = Page(result._repr_html_())
    assert [one.text for one in page.root.all("caption")] == ["Rows by stage"] * 2 + ["Copies by what they share"]


def test_a_pipeline_is_shown_with_the_settings_of_its_stages(tmp_path):
    pipeline = make_pipeline(tmp_path)
    pipeline.description = "<script>"
    page = Page(pipeline._repr_html_())
    assert [row[1] for row in page.root.all("table")[0].rows()[1:]] == [stage.name for stage in pipeline.stages]
    assert "min_words': 5" in page.root.text
    assert page.root.all("script") == []


def test_a_run_becomes_a_frame_of_what_happened_to_rows(finished):
    run = finished[0]
    frame = run.to_pandas()
    assert list(frame.columns) == ["place", "stage", "outcome", "by", "rows"]
    sums = frame.pivot_table(index="place", columns="outcome", values="rows", aggfunc="sum", fill_value=0)
    assert (sums["in"] + sums["added"] == sums["out"] + sums["dropped"] + sums["failed"]).all()
    dropped = frame[frame.outcome == "dropped"].set_index("by")["rows"]
    assert dropped.to_dict() == dict(run.stages[2].dropped)
