"""Archives like those of arXiv, and one real paper."""

import gzip
import io
import tarfile
from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download.arxiv import ArxivDownloadExtractStage

REAL = Path(__file__).parents[6] / "shared/data/text/arxiv/1911.02782.gz"


def tar(members):
    """An archive of these names and contents; a TarInfo in place of a name is taken as it is."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def paper(files):
    """How arXiv keeps a paper: one file compressed, or an archive of several."""
    if isinstance(files, dict | list):
        return gzip.compress(tar(files), 1)
    return gzip.compress(files.encode() if isinstance(files, str) else files, 1)


def document(body, preamble=""):
    return f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"


def run(folder, papers, **settings):
    """Run the stage over an archive; return its rows (None if the run fails), and the account of its last stage."""
    source = folder / "src"
    source.mkdir()
    (source / "arXiv_src_2101_001.tar").write_bytes(papers if isinstance(papers, bytes) else tar(papers))
    stage = ArxivDownloadExtractStage(str(folder / "raw"), url_prefix=str(source), **settings)
    pipeline = Pipeline("arxiv", stages=[stage])
    try:
        tasks = pipeline.run(LocalExecutor(num_workers=0))
    except RunFailedError:
        tasks = None
    rows = None if tasks is None else [row for task in tasks for row in task.to_pyarrow().to_pylist()]
    return rows, pipeline.last_run.stages[-1]
