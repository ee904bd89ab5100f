import socket

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.core.utils import claimed_port, get_free_port, split_table_by_group


def test_a_busy_port_gives_way_to_the_next_free_one_unless_it_was_chosen():
    with socket.create_server(("localhost", 0)) as busy:
        port = busy.getsockname()[1]
        assert get_free_port(port) > port
        with pytest.raises(RuntimeError, match=f"Port {port} on localhost is in use"):
            get_free_port(port, get_next_free_port=False)
    assert get_free_port(port, get_next_free_port=False) == port


def test_the_ports_of_rays_workers_are_passed_over():
    assert get_free_port(10002) >= 20000


def test_two_clusters_that_start_together_take_different_ports():
    with claimed_port(6379, True, "localhost") as first, claimed_port(6379, True, "localhost") as second:
        assert first != second
        with (
            pytest.raises(RuntimeError, match=f"Port {first} is about to be used"),
            claimed_port(first, False, "localhost"),
        ):
            pass


@settings(deadline=None)
@given(
    groups=st.lists(st.sampled_from("abcd") | st.none(), max_size=30),
    limits=st.sampled_from([{"max_batch_rows": 1}, {"max_batch_rows": 5}, {"max_batch_bytes": 40}]),
)
def test_a_table_is_split_between_groups_only(groups, limits):
    table = pa.table(
        {"group": groups, "row": range(len(groups))}, schema=pa.schema({"group": "string", "row": "int64"})
    )
    parts = split_table_by_group(table, "group", **limits)
    rows = [row for part in parts for row in part.to_pylist()]
    first = {group: groups.index(group) for group in groups}
    assert rows == sorted(table.to_pylist(), key=lambda row: (first[row["group"]], row["row"]))
    found = [set(part["group"].to_pylist()) for part in parts]
    assert sum(map(len, found)) == len(set(groups))
    for part, names in zip(parts, found):
        within = part.num_rows <= limits.get("max_batch_rows", 99) and part.nbytes <= limits.get(
            "max_batch_bytes", 9999
        )
        assert within or len(names) == 1


def test_a_table_without_a_limit_stays_whole_and_a_limit_of_nothing_is_refused():
    table = pa.table({"group": ["a", "b"]})
    assert split_table_by_group(table, "group") == [table]
    with pytest.raises(ValueError, match="max_batch_rows must be above 0, not 0"):
        split_table_by_group(table, "group", max_batch_rows=0)
