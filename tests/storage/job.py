"""A run over two folders, as a process of its own, which is told the folders, the format, the workers and options."""

import json
import sys
import time

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.stages.text.modifiers import Modify


def slow(text):
    time.sleep(0.002)
    return text.upper()


def job(folder, out, kind, *, storage_options=None, modifier=slow, **reading):
    kwargs = {"storage_options": storage_options} if storage_options else {}
    writer = {"jsonl": JsonlWriter, "parquet": ParquetWriter}[kind]
    return Pipeline(
        "job",
        stages=[
            JsonlReader(folder, read_kwargs=dict(kwargs), **reading),
            Modify(modifier),
            ScoreFilter(WordCountFilter(min_words=8)),
            writer(out, write_kwargs=dict(kwargs)),
        ],
    )


if __name__ == "__main__":
    folder, out, kind, workers, options = sys.argv[1:]
    job(folder, out, kind).run(LocalExecutor(num_workers=int(workers)), **json.loads(options))
    print("ended")
