import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels.components import join_components

SIZE = 20
edges = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=30)


def by_walking(pairs):
    """The smallest node that each can reach."""
    near = {node: {node} for node in range(SIZE)}
    for one, other in pairs:
        near[one].add(other)
        near[other].add(one)
    found = []
    for node in range(SIZE):
        seen, todo = set(), [node]
        while todo:
            here = todo.pop()
            if here not in seen:
                seen.add(here)
                todo.extend(near[here])
        found.append(min(seen))
    return found


@settings(deadline=None, max_examples=200)
@given(edges, st.integers(0, 30))
def test_every_node_gets_the_smallest_one_it_can_reach_however_the_edges_are_cut(pairs, cut):
    parents = np.arange(SIZE)
    for part in (pairs[:cut], pairs[cut:]):
        ends = np.array(part, np.int64).reshape(-1, 2)
        parents = join_components(parents, ends[:, 0].copy(), ends[:, 1].copy())
    assert parents.tolist() == by_walking(pairs)
