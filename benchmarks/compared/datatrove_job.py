"""The jobs of compare.py by datatrove: `datatrove_job.py filter|minhash INPUT OUTPUT WORKERS`.

pip install "datatrove[processing,io]" spacy
"""

import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

FILES = 4
"""How many there are in the input: a task takes whole files."""


def main(job: str, source: str, output: str, workers: str) -> None:
    def run(name: str, steps: list, tasks: int) -> None:
        LocalPipelineExecutor(
            pipeline=steps, tasks=tasks, workers=int(workers), logging_dir=f"{output}/logs/{name}"
        ).run()

    kept = JsonlWriter(f"{output}/kept", compression=None)
    if job == "filter":
        run(job, [JsonlReader(source), GopherRepetitionFilter(), GopherQualityFilter(), kept], FILES)
        return
    config = MinhashConfig()
    signatures, buckets, removed = (f"{output}/{name}" for name in ("signatures", "buckets", "removed"))
    run("signatures", [JsonlReader(source), MinhashDedupSignature(signatures, config)], FILES)
    run("buckets", [MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets)
    run("clusters", [MinhashDedupCluster(buckets, removed, config=config)], 1)
    run("removal", [JsonlReader(source), MinhashDedupFilter(removed), kept], FILES)


if __name__ == "__main__":
    main(*sys.argv[1:])
