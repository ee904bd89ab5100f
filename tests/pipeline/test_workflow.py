import pyarrow as pa

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.tasks import DocumentBatch


class TwoPasses(WorkflowBase):
    """Keep texts of two words and more, then of three and more."""

    def run(self, batch):
        result, tasks = WorkflowRunResult("two passes"), [batch]
        for words in (2, 3):
            pipeline = Pipeline(f"{words} words", stages=[ScoreFilter(WordCountFilter(min_words=words))])
            tasks = pipeline.run(LocalExecutor(num_workers=0), tasks)
            result.add_pipeline_tasks(pipeline.name, tasks)
            result.add_run(pipeline.name, pipeline.last_run)
        return result


def test_a_workflow_has_the_account_of_every_pipeline():
    batch = DocumentBatch("d", pa.table({"text": ["one", "one two", "one two three"]}))
    result = TwoPasses().run(batch)
    assert [run.stages[0].rows_out for run in result.runs.values()] == [2, 1]
    assert result.table().splitlines()[2].split()[:5] == ["word_count", "3", "2", "1", "0"]
    assert result.pipeline_tasks["3 words"][0].num_items == 1
