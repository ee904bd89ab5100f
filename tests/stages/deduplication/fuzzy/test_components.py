import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.deduplication.fuzzy.buckets_to_edges import BucketsToEdgesStage
from nemo_curator.stages.deduplication.fuzzy.connected_components import ConnectedComponentsStage
from nemo_curator.tasks import FileGroupTask

ids = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 12)
buckets = st.lists(st.lists(ids, min_size=1, max_size=5, unique=True), max_size=12)


def slow_groups(some):
    """Groups by joining sets until nothing changes."""
    groups = []
    for bucket in some:
        joined = set(bucket)
        apart = [group for group in groups if not group & joined]
        joined.update(*(group for group in groups if group & joined))
        groups = [*apart, joined]
    return {frozenset(group) for group in groups if len(group) > 1}


@settings(deadline=None, max_examples=25)
@given(some=buckets, cut=st.integers(0, 12))
def test_documents_that_lead_to_one_another_are_a_group(tmp_path_factory, some, cut):
    folder = tmp_path_factory.mktemp("components")
    tasks = []
    for number, part in enumerate((some[:cut], some[cut:])):
        table = pa.table({"_bucket_id": [""] * len(part), "_curator_dedup_id": pa.array(part, pa.list_(pa.int64()))})
        pq.write_table(table, folder / f"{number}.parquet")
        edges = BucketsToEdgesStage(str(folder))
        tasks.append(edges.process(FileGroupTask("some", [str(folder / f"{number}.parquet")])))
    assert sum(task._metadata["num_rows"] for task in tasks) == sum(len(bucket) - 1 for bucket in some)
    (made,) = ConnectedComponentsStage(str(folder)).process_batch(tasks)
    found = pq.read_table(made.data[0])
    names, members = (found[name].to_numpy() for name in ("_duplicate_group_id", "_curator_dedup_id"))
    assert made._metadata["num_vertices"] == len(members)
    groups = {frozenset(members[names == name].tolist()) for name in np.unique(names)}
    assert groups == slow_groups(some)
    assert all(name == members[names == name].min() for name in names)
