"""Connected components: which nodes of a graph lead to one another."""

from __future__ import annotations

from nemo_curator.kernels.compile import kernel


@kernel("int64[::1], int64[::1], int64[::1]")
def join_components(parents, first, second):
    """Join the components of the two ends of each edge; return the new parents.

    Nodes are numbers from 0. `parents` begins as `arange`; edges may come in any number of calls. In what is returned
    every node has the smallest node of its component as its parent.
    """
    joined = parents.copy()
    for edge in range(first.size):
        one, other = _root(joined, first[edge]), _root(joined, second[edge])
        joined[max(one, other)] = min(one, other)
    for node in range(joined.size):  # a parent is never larger than its child: its root is known by now
        joined[node] = joined[joined[node]]
    return joined


@kernel
def _root(parents, node):
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
