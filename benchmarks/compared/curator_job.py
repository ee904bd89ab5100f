"""The jobs of compare.py by Curator: `curator_job.py filter|minhash INPUT OUTPUT WORKERS`."""

import sys

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from nemo_curator.stages.text import recipes
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter


def main(job: str, source: str, output: str, workers: str) -> None:
    executor = LocalExecutor(num_workers=int(workers))
    if job == "filter":
        rules = [*recipes.gopher_repetition(), *recipes.gopher_quality()]
        Pipeline(job, stages=[JsonlReader(source), *rules, JsonlWriter(f"{output}/kept")]).run(executor)
    else:
        FuzzyDeduplicationWorkflow(
            input_path=source,
            output_path=output,
            cache_path=f"{output}/cache",
            input_filetype="jsonl",
            perform_removal=True,
        ).run(executor=executor)


if __name__ == "__main__":
    main(*sys.argv[1:])
