"""Lists of URLs, and runs that download them."""

import pyarrow as pa
import pyarrow.parquet as pq

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image.download import ImageDownloadStage
from tests.stages.image.io.images import members_of

HERE = LocalExecutor(num_workers=0)


def write_list(path, urls, **columns):
    """A list as people have them; returns its path."""
    table = {"URL": pa.array(urls, pa.string()), "TEXT": [f"caption {at}" for at in range(len(urls))], **columns}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return path


def download(path, folder, *more_stages, run=None, **settings):
    """Run a download; the account of its stages, which balances."""
    settings = {"allow_private_addresses": True, "connections": 32, "retries": 2, **settings}
    stage = ImageDownloadStage(str(path), str(folder), **settings)
    pipeline = Pipeline("download", stages=[stage, *more_stages])
    try:
        pipeline.run(HERE, **(run or {}))
    finally:
        assert pipeline.last_run is None or all(one.imbalance == 0 for one in pipeline.last_run.stages)
    return pipeline.last_run


def rows(folder):
    """Every row of every shard."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def members(folder):
    return {name: data for path in sorted(folder.glob("*.tar")) for name, data in members_of(path).items()}


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
